"""What a client cannot see of API destinations: the quota."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from farspan.config import QuotaConfig

if TYPE_CHECKING:
    from tests.unit.control.conftest import Api

ACCOUNT = "000000000000"
LIMIT = "The requested resource exceeds the maximum number allowed."


async def test_the_quota_of_api_destinations(api: Api) -> None:
    """An account has 3,000 API destinations in a Region, and no more."""
    made = await api(
        "CreateConnection",
        Name="c",
        AuthorizationType="BASIC",
        AuthParameters={"BasicAuthParameters": {"Username": "u", "Password": "p"}},
    )
    wanted = {
        "ConnectionArn": made["ConnectionArn"],
        "InvocationEndpoint": "https://example.com/",
        "HttpMethod": "GET",
    }
    for number in range(QuotaConfig().api_destinations):
        await api("CreateApiDestination", Name=f"d{number}", **wanted)

    assert ("LimitExceededException", LIMIT) == await api.refusal(
        "CreateApiDestination", Name="one-too-many", **wanted
    )


async def test_a_connection_made_again_is_another(api: Api) -> None:
    """An API destination keeps to the connection it was made with, not to its name."""
    credentials = {
        "AuthorizationType": "BASIC",
        "AuthParameters": {"BasicAuthParameters": {"Username": "u", "Password": "p"}},
    }
    made = await api("CreateConnection", Name="c", **credentials)
    await api(
        "CreateApiDestination",
        Name="d",
        ConnectionArn=made["ConnectionArn"],
        InvocationEndpoint="https://example.com/",
        HttpMethod="GET",
    )
    await api("DeleteConnection", Name="c")
    await api("CreateConnection", Name="c", **credentials)

    assert "INACTIVE" == (await api("DescribeApiDestination", Name="d"))["ApiDestinationState"]


@pytest.mark.parametrize("arn", ["c", "arn:aws:events:us-east-1"])
async def test_what_is_no_arn_is_no_connection(api: Api, arn: str) -> None:
    """Only an ARN names a connection."""
    code, _ = await api.refusal(
        "CreateApiDestination",
        Name="d",
        ConnectionArn=arn,
        InvocationEndpoint="https://example.com/",
        HttpMethod="GET",
    )

    assert "ResourceNotFoundException" == code
