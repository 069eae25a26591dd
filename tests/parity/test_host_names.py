"""Requests that come under the services' own host names, as in DNS mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from farspan.dns_config import DnsConfig

EAST = "us-east-1"
KEY = ("test", "test")


@pytest.fixture(scope="module")
def under(deployed: Callable[..., Any], client_of: Callable[..., Any]) -> Callable[[str], Any]:
    """Return SQS clients of a Region in DNS mode that come under a host name."""
    deployment = deployed(EAST, dns=DnsConfig(zone="amazonaws.com"))

    def under(host: str) -> Any:
        # The user agent makes it another client than that of another host.
        client = client_of(deployment.url, "sqs", EAST, KEY, user_agent_extra=host)
        client.meta.events.register(
            "before-sign.sqs", lambda request, **_: request.headers.__setitem__("Host", host)
        )
        return client

    under.url = deployment.url
    return under


def test_a_queue_is_told_under_the_name_that_was_used(under: Any) -> None:
    """Some SDKs call a queue at its URL: it has to lead where they can go."""
    sqs = under("SQS.us-east-1.amazonaws.com")
    url = sqs.create_queue(QueueName="named")["QueueUrl"]

    assert url == "https://sqs.us-east-1.amazonaws.com/000000000000/named"
    assert sqs.get_queue_url(QueueName="named")["QueueUrl"] == url
    assert sqs.list_queues()["QueueUrls"] == [url]


@pytest.mark.parametrize(
    "host", ["sqs.us-east-1.amazonaws.com.evil.example", "evil.example", "sqs.us-east-1.local:80"]
)
def test_no_other_name_is_told_back(under: Any, host: str) -> None:
    """A Host that is not the service's own decides nothing."""
    url = under(host).create_queue(QueueName="other")["QueueUrl"]

    assert url == f"{under.url}/000000000000/other"
