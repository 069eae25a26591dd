"""The Region's own resources: durable before visible, and the same after a restart."""

from __future__ import annotations

import pytest

from farspan.catalog.resources import Resource, Resources, WrongRegion
from farspan.model.bus import EventBus
from farspan.model.endpoint import Endpoint
from farspan.model.health_check import HealthCheck, HealthCheckType
from farspan.model.queue import Queue
from farspan.model.rule import InputTransformer, Rule, Target
from farspan.store.base import Conflict, MoveCursor, PutDocument
from farspan.store.memory import MemoryStore

ACCOUNT = "000000000000"
HERE = "us-east-1"
NOW = 1_700_000_000.5
NOW_VERSION = 1_700_000_000_500

BUS = EventBus(region=HERE, account=ACCOUNT, name="orders")
RULE = Rule(
    region=HERE,
    account=ACCOUNT,
    event_bus_name="orders",
    name="big",
    targets={
        "t": Target(
            id="t",
            arn="arn:t",
            input_transformer=InputTransformer(
                input_template='"<a>"', input_paths=(("a", "$.a"), ("b", "$"))
            ),
            given={"Id": "t", "Arn": "arn:t", "X": {"Y": [1]}},
        )
    },
)
QUEUE = Queue(region=HERE, account=ACCOUNT, name="letters")
ENDPOINT = Endpoint(
    account=ACCOUNT,
    name="shop",
    endpoint_id="abcde12345.veo",
    event_bus_name="orders",
    primary_region=HERE,
    secondary_region="eu-central-1",
    health_check_id="h",
)
CHECK = HealthCheck(id="h", account=ACCOUNT, caller_reference="r", type=HealthCheckType.TCP)
ALL: list[Resource] = [BUS, RULE, QUEUE, ENDPOINT, CHECK]


async def loaded(store: MemoryStore, region: str = HERE, now: float = NOW) -> Resources:
    """Return the resources of a store."""
    resources = Resources(region, store)
    await resources.load(now)
    return resources


def shown(resources: Resources) -> list[Resource]:
    """Return everything that is visible."""
    return [
        *resources.event_buses.values(),
        *resources.rules.values(),
        *resources.queues.values(),
        *resources.endpoints.values(),
        *resources.health_checks.values(),
    ]


async def test_what_is_saved_is_there_after_a_restart() -> None:
    """Resources of every kind read back as they were, with the catalog's version."""
    store = MemoryStore()
    resources = await loaded(store)
    await resources.save(*ALL, now=NOW)

    again = await loaded(store, now=NOW + 9)

    assert shown(resources) == shown(again) == ALL
    assert again.version == resources.version == NOW_VERSION
    assert again.created_at == NOW


@pytest.mark.parametrize("resource", ALL, ids=lambda resource: type(resource).__name__)
async def test_what_is_removed_stays_away(resource: Resource) -> None:
    """A removed resource is gone at once and after a restart; its neighbours stay."""
    store = MemoryStore()
    resources = await loaded(store)
    await resources.save(*ALL, now=NOW)
    await resources.remove(resource, now=NOW)
    await resources.remove(resource, now=NOW)

    rest = [other for other in ALL if other is not resource]

    assert shown(resources) == shown(await loaded(store)) == rest


async def test_a_store_belongs_to_one_region() -> None:
    """Opening it under another name is refused with both names and what to do."""
    store = MemoryStore()
    await loaded(store)

    with pytest.raises(
        WrongRegion, match=r"belongs to Region us-east-1, not eu-central-1\..*--reg"
    ):
        await loaded(store, "eu-central-1")


async def test_a_store_without_a_log_id_gets_one() -> None:
    """A log that has no identity is given one, once, and keeps the rest of what it was."""
    store = MemoryStore()
    before = await loaded(store)
    ids = []
    for log_id in ("first", "second"):
        resources = Resources(HERE, store)
        await resources.load(NOW + 1, log_id=log_id)
        ids.append((resources.log_id, resources.created_at))

    assert (before.log_id, before.created_at) == ("", NOW)
    assert ids == [("first", NOW), ("first", NOW)]


async def test_the_catalogs_version_grows_with_what_others_need() -> None:
    """Endpoints and health checks move it, at least to the clock; other resources do not (G7)."""
    resources = await loaded(MemoryStore())
    versions = [resources.version]
    for resource, now in [(BUS, NOW), (ENDPOINT, NOW), (CHECK, NOW), (ENDPOINT, NOW - 100)]:
        await resources.save(resource, now=now)
        versions.append(resources.version)
    await resources.remove(CHECK, now=NOW + 1)
    versions.append(resources.version)
    await resources.remove(RULE, now=NOW + 2)

    expected = [0, 0, NOW_VERSION, NOW_VERSION + 1, NOW_VERSION + 2, NOW_VERSION + 1_000]

    assert versions == expected
    assert resources.version == resources.owned_catalog().version == versions[-1]


async def test_a_region_rebuilt_from_nothing_is_believed() -> None:
    """On an empty disk the version begins at the clock, beyond whatever peers had seen."""
    former = await loaded(MemoryStore())
    for _ in range(50):
        await former.save(ENDPOINT, now=NOW)
    rebuilt = await loaded(MemoryStore())

    await rebuilt.save(ENDPOINT, now=NOW + 1)

    assert rebuilt.version > former.version


async def test_the_owned_catalog_is_what_others_need() -> None:
    """It has the Region's endpoints and health checks and nothing else."""
    resources = await loaded(MemoryStore())
    await resources.save(*ALL, now=NOW)

    catalog = resources.owned_catalog()

    assert (catalog.region, catalog.endpoints, catalog.health_checks) == (
        HERE,
        (ENDPOINT,),
        (CHECK,),
    )


async def test_listeners_are_told_after_each_change() -> None:
    """A listener hears of each resource, when it is visible, and whether it exists."""
    resources = await loaded(MemoryStore())
    heard: list[tuple[Resource, bool, bool]] = []
    resources.subscribe(lambda one, exists: heard.append((one, exists, BUS in shown(resources))))

    await resources.save(BUS, now=NOW)
    await resources.remove(BUS, now=NOW)

    assert heard == [(BUS, True, True), (BUS, False, False)]


async def test_what_cannot_be_stored_is_not_shown() -> None:
    """A change whose commit fails leaves everything as it was, the version included."""
    store = MemoryStore()
    resources = await loaded(store)
    heard: list[Resource] = []
    resources.subscribe(lambda one, exists: heard.append(one))

    with pytest.raises(Conflict):
        await resources.save(ENDPOINT, now=NOW, also=(PutDocument("x", b"", expected_version=3),))

    assert (shown(resources), resources.version, heard) == ([], 0, [])
    assert shown(await loaded(store)) == []


async def test_other_changes_go_into_the_same_commit() -> None:
    """What has to hold together with a resource is written together with it."""
    store = MemoryStore()
    resources = await loaded(store)
    await resources.save(BUS, now=NOW, also=(MoveCursor("a", 1),))
    await resources.remove(BUS, now=NOW, also=(MoveCursor("b", 2),))

    assert [await store.cursor("a"), await store.cursor("b")] == [1, 2]


async def test_every_account_has_a_default_bus() -> None:
    """The default bus is there without being created, as old as the Region; others are not."""
    resources = await loaded(MemoryStore())

    default = resources.event_bus("111111111111", "default")

    assert default is not None
    assert (default.key, default.creation_time) == ("111111111111/default", NOW)
    assert resources.event_bus(ACCOUNT, "orders") is None


async def test_resources_are_found_by_name() -> None:
    """A bus, a rule and a queue are found under account and name, and only there."""
    resources = await loaded(MemoryStore())
    await resources.save(*ALL, now=NOW)

    assert resources.event_bus(ACCOUNT, "orders") == BUS
    assert resources.rule(ACCOUNT, "orders", "big") == RULE
    assert resources.rule(ACCOUNT, "default", "big") is None
    assert resources.queue(ACCOUNT, "letters") == QUEUE
    assert resources.queue("111111111111", "letters") is None


async def test_a_buss_rules_are_its_own() -> None:
    """Rules come by name, and a bus whose name begins alike lends none of its own."""
    resources = await loaded(MemoryStore())
    rules = [
        Rule(region=HERE, account=ACCOUNT, event_bus_name=bus, name=name)
        for bus, name in [("a", "z"), ("a", "b"), ("ab", "c"), ("a.b", "d")]
    ]
    await resources.save(*rules, now=NOW)

    assert [rule.name for rule in resources.rules_of(ACCOUNT, "a")] == ["b", "z"]
