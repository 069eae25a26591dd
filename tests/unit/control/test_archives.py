"""What a client cannot see of archives: the quota, and the managed rule's pattern."""

from __future__ import annotations

import importlib
import json
from typing import Any, cast

import pytest

from farspan.catalog.resources import Resources
from farspan.clock import SeededIds
from farspan.config import QuotaConfig
from farspan.control.plane import Caller, ControlPlane, World, perform
from farspan.errors import AwsError
from farspan.model.archive import RETENTION_DAYS_MAX, Archive, archive_rule_pattern
from farspan.model.endpoint import Endpoint
from farspan.queues.service import QueueService
from farspan.sealing import Sealer
from farspan.store.memory import MemoryStore

importlib.import_module("farspan.control.registry")  # registers the operations

ACCOUNT = "000000000000"
OWN = Caller(account=ACCOUNT, access_key_id="test")
LIMIT = "The requested resource exceeds the maximum number allowed."
BUS_ARN = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default"


class StillClock:
    """Time that the test sets; nobody sleeps here."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.75

    def now(self) -> float:
        """See `Clock.now`."""
        return self.seconds

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Move time on by as much as was to be slept."""
        self.seconds += seconds


class NoWorld:
    """A deployment without endpoints."""

    def endpoints(self) -> list[Endpoint]:
        """Return none."""
        return []


class Api:
    """A Region's control plane over the memory engine, called by operation name."""

    def __init__(self) -> None:
        self.clock, ids = StillClock(), SeededIds(1)
        store = MemoryStore()
        self.plane = ControlPlane(
            region="us-east-1",
            regions=("us-east-1",),
            resources=Resources("us-east-1", store),
            queues=QueueService("us-east-1", store, self.clock, ids),
            world=cast("World", NoWorld()),
            clock=self.clock,
            ids=ids,
            url="http://localhost:4566",
            sealer=Sealer([bytes(32)], ids.token),
            ingest=None,
        )

    async def __call__(self, name: str, **params: object) -> dict[str, Any]:
        """Perform an operation and return its output without what is left out on the wire."""
        output = await perform(self.plane, OWN, "events", name, params)
        return {member: value for member, value in output.items() if value is not None}

    async def refusal(self, name: str, **params: object) -> tuple[str, str]:
        """Perform an operation that is refused, and return the error's code and message."""
        with pytest.raises(AwsError) as refusal:
            await perform(self.plane, OWN, "events", name, params)
        return refusal.value.code, refusal.value.message


@pytest.fixture
def api() -> Api:
    """Return a control plane without resources."""
    return Api()


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
