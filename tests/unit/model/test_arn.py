"""ARNs: built and read."""

from __future__ import annotations

import pytest

from farspan.model.arn import (
    endpoint_arn,
    event_bus_arn,
    health_check_arn,
    parse_arn,
    queue_arn,
    rule_arn,
)

ACCOUNT = "123456789012"

ARNS = [
    event_bus_arn("us-east-1", ACCOUNT, "orders"),
    rule_arn("us-east-1", ACCOUNT, "orders", "big"),
    endpoint_arn("us-east-1", ACCOUNT, "shop"),
    queue_arn("us-east-1", ACCOUNT, "letters"),
    health_check_arn("11111111-2222-3333-4444-555555555555"),
]


def test_arns_have_the_form_that_aws_documents() -> None:
    """Each kind of resource is named as the AWS service reference has it."""
    assert ARNS == [
        "arn:aws:events:us-east-1:123456789012:event-bus/orders",
        "arn:aws:events:us-east-1:123456789012:rule/orders/big",
        "arn:aws:events:us-east-1:123456789012:endpoint/shop",
        "arn:aws:sqs:us-east-1:123456789012:letters",
        "arn:aws:route53:::healthcheck/11111111-2222-3333-4444-555555555555",
    ]


def test_a_rule_of_the_default_bus_does_not_name_it() -> None:
    """The default bus is left out of its rules' ARNs."""
    assert rule_arn("eu-west-1", ACCOUNT, "default", "r").endswith(":rule/r")


@pytest.mark.parametrize("text", [*ARNS, "arn:aws-cn:x:y:z:a:b:c"])
def test_an_arn_reads_back(text: str) -> None:
    """An ARN's parts give its text again, colons in the resource included."""
    assert str(parse_arn(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "orders", "arn:aws:events", "arn:aws:events:us-east-1:1:", "urn:aws:events:a:b:c"],
    ids=repr,
)
def test_what_is_no_arn_is_told(text: str) -> None:
    """A text without six parts, or with none behind the account, is no ARN."""
    assert parse_arn(text) is None
