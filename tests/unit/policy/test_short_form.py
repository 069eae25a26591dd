"""PutPermission's short form and RemovePermission."""

from __future__ import annotations

from typing import Any

import pytest

from farspan.errors import (
    PolicyLengthExceededException,
    ResourceNotFoundException,
    ValidationException,
)
from farspan.policy import (
    BUS_POLICY_CHARS_MAX,
    Policy,
    ShortCondition,
    add_statement,
    parse_bus_policy,
    remove_statement,
    render,
)

BUS = "arn:aws:events:us-east-1:111122223333:event-bus/orders"
ORGANIZATION = ShortCondition(type="StringEquals", key="aws:PrincipalOrgID", value="o-1234567890")
START = '{"Version":"2012-10-17","Statement":['


def add(policy: Policy | None = None, **changes: Any) -> Policy:
    """Add a statement with these parameters changed."""
    parameters = {
        "action": "events:PutEvents",
        "principal": "444455556666",
        "statement_id": "one",
        "condition": None,
        **changes,
    }
    return add_statement(policy, bus_arn=BUS, **parameters)


def test_the_first_statement_makes_the_policy() -> None:
    """The document has the new version, and the members in AWS's order."""
    expected = (
        START + '{"Sid":"one","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"}'
        f',"Action":"events:PutEvents","Resource":"{BUS}"}}]}}'
    )

    assert expected == render(add())


def test_an_organization_is_admitted_by_condition() -> None:
    """Everyone, on condition of the organization."""
    expected = (
        START + '{"Sid":"one","Effect":"Allow","Principal":"*"'
        f',"Action":"events:PutEvents","Resource":"{BUS}"'
        ',"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1234567890"}}}]}'
    )

    assert expected == render(add(principal="*", condition=ORGANIZATION))


def test_the_same_id_replaces_the_statement() -> None:
    """A statement is known by its id: there is one of each."""
    policy = add(add(add(), statement_id="two"), principal="*")

    assert [("one", True), ("two", False)] == [
        (each.sid, each.principal is not None and each.principal.everyone)
        for each in policy.statements
    ]


def test_the_result_is_a_policy_that_the_long_form_accepts() -> None:
    """Both forms of PutPermission speak of the same policy."""
    policy = add(add(principal="*", condition=ORGANIZATION), statement_id="two")

    assert policy == parse_bus_policy(render(policy), bus_arn=BUS)


REFUSED = [
    ({"action": None}, "Parameter(s) Action must be specified."),
    ({"principal": None}, "Parameter(s) Principal must be specified."),
    ({"statement_id": None}, "Parameter(s) StatementId must be specified."),
    ({"action": "events:PutRule"}, "Provided value in parameter 'action' is not supported."),
    ({"principal": "ann"}, "Provided value in parameter 'principal' is not supported."),
    (
        {"condition": ShortCondition(type="StringEquals", key="aws:SourceArn", value="x")},
        "Provided value in parameter 'condition.key' is not supported.",
    ),
    (
        {"condition": ShortCondition(type="StringLike", key="aws:PrincipalOrgID", value="x")},
        "Provided value in parameter 'condition.type' is not supported.",
    ),
    (
        {"condition": ShortCondition(type="StringEquals", key="aws:PrincipalOrgID", value="x")},
        "Provided value in parameter 'condition.value' is invalid.",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_a_parameter_is_refused_in_these_words(changes: dict[str, Any], message: str) -> None:
    """Each fault has its own text."""
    with pytest.raises(ValidationException) as refused:
        add(**changes)

    assert message == refused.value.message


def test_statements_fill_a_policy_up_to_its_limit() -> None:
    """Adding one by one ends at the same quota."""
    statement = render(add())[len(START) : -len("]}")]
    count = (BUS_POLICY_CHARS_MAX - len(START) - 1) // (len(statement) + 1)
    policy = None
    for number in range(count):
        policy = add(policy, statement_id=f"{number:03}")

    assert len(render(policy or Policy())) <= BUS_POLICY_CHARS_MAX
    with pytest.raises(PolicyLengthExceededException):
        add(policy, statement_id="one more")


def test_a_statement_is_removed_by_its_id() -> None:
    """The others stay; without the last, there is no policy."""
    both = add(add(), statement_id="two")

    assert add(statement_id="two") == remove_statement(both, "one")
    assert remove_statement(add(), "one") is None


@pytest.mark.parametrize("policy", [None, add()])
def test_an_unknown_statement_cannot_be_removed(policy: Policy | None) -> None:
    """The id has to be there."""
    with pytest.raises(ResourceNotFoundException) as refused:
        remove_statement(policy, "nine")

    assert refused.value.message == "Statement with the provided id does not exist."
