"""sts GetCallerIdentity."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.client import BaseClient


@pytest.mark.parametrize(
    ("key", "account"),
    [(("test", "test"), "000000000000"), (("other", "other-secret"), "111111111111")],
    ids=["first", "second"],
)
@pytest.mark.parametrize("region", ["us-east-1", "us-west-2"])
def test_get_caller_identity(
    client: Callable[..., BaseClient], key: tuple[str, str], account: str, region: str
) -> None:
    """The account is the access key's; the caller is its root."""
    answer = client("sts", region, key=key).get_caller_identity()
    del answer["ResponseMetadata"]

    assert {
        "UserId": account,
        "Account": account,
        "Arn": f"arn:aws:iam::{account}:root",
    } == answer
