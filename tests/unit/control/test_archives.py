"""What a client cannot see of archives: the quota, and the managed rule's pattern."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from farspan.config import QuotaConfig
from farspan.model.archive import RETENTION_DAYS_MAX, Archive, archive_rule_pattern

if TYPE_CHECKING:
    from tests.unit.control.conftest import Api

ACCOUNT = "000000000000"
LIMIT = "The requested resource exceeds the maximum number allowed."
BUS_ARN = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default"


async def test_the_quota_of_archives(api: Api) -> None:
    """An account has that many archives in a Region, and no more."""
    for number in range(QuotaConfig().archives):
        await api("CreateArchive", ArchiveName=f"a{number}", EventSourceArn=BUS_ARN)

    assert ("LimitExceededException", LIMIT) == await api.refusal(
        "CreateArchive", ArchiveName="one-too-many", EventSourceArn=BUS_ARN
    )


async def test_retention_is_clamped(api: Api) -> None:
    """More days than 32 bits hold are as many as they hold, in Create and in Update."""
    days = RETENTION_DAYS_MAX + 1
    for name in ("CreateArchive", "UpdateArchive"):
        source = {"EventSourceArn": BUS_ARN} if name == "CreateArchive" else {}
        await api(name, ArchiveName="a", RetentionDays=days, **source)

        assert (await api("DescribeArchive", ArchiveName="a"))["RetentionDays"] == days - 1
        await api("UpdateArchive", ArchiveName="a", RetentionDays=1)


async def test_an_archive_of_that_name_made_again_is_another(api: Api) -> None:
    """Its id differs, so that what was of the former one is not taken for the new one's."""
    ids = []
    for _ in range(2):
        await api("CreateArchive", ArchiveName="a", EventSourceArn=BUS_ARN)
        ids.append(api.plane.resources.table(Archive)[f"{ACCOUNT}/a"].uuid)
        await api("DeleteArchive", ArchiveName="a")

    assert 2 == len(set(ids))


async def test_an_empty_pattern_takes_the_pattern_away(api: Api) -> None:
    """UpdateArchive with "" archives everything again."""
    await api(
        "CreateArchive", ArchiveName="a", EventSourceArn=BUS_ARN, EventPattern='{"source":["s"]}'
    )
    await api("UpdateArchive", ArchiveName="a", EventPattern="")

    assert "EventPattern" not in await api("DescribeArchive", ArchiveName="a")


async def test_an_update_does_not_take_a_rules_place(api: Api) -> None:
    """While the managed rule is away, a caller's rule may have its name; the archive waits."""
    await api("CreateArchive", ArchiveName="a", EventSourceArn=BUS_ARN)
    rule = "Events-Archive-a"
    await api("RemoveTargets", Rule=rule, Ids=[rule], Force=True)
    await api("DeleteRule", Name=rule, Force=True)
    await api("PutRule", Name=rule, EventPattern='{"source":["s"]}')

    assert (
        "ResourceAlreadyExistsException"
        == (await api.refusal("UpdateArchive", ArchiveName="a", RetentionDays=1))[0]
    )
    assert "DISABLED" == (await api("DescribeArchive", ArchiveName="a"))["State"]
    assert "ManagedBy" not in {
        key: value for key, value in (await api("DescribeRule", Name=rule)).items() if value
    }


@pytest.mark.parametrize(
    ("event_pattern", "expected"),
    [
        (None, {}),
        ('{"source":["a"]}', {"source": ["a"]}),
        (' \n{"source":["a"]} what AWS ignores', {"source": ["a"]}),
        ('{"replay-name":["r"],"source":["a"]}', {"source": ["a"]}),
        (
            '{"$or":[{"source":["a"]},{"account":["b"]}]}',
            {"$or": [{"source": ["a"]}, {"account": ["b"]}]},
        ),
    ],
    ids=["none", "one-field", "blanks-and-rest", "replay-name", "or"],
)
def test_the_rules_pattern(event_pattern: str | None, expected: dict[str, Any]) -> None:
    """The archive's pattern, and never a replayed event."""
    pattern = json.loads(archive_rule_pattern(event_pattern))

    assert {**expected, "replay-name": [{"exists": False}]} == pattern
