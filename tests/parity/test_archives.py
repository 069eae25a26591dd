"""CreateArchive, DescribeArchive, ListArchives, UpdateArchive, DeleteArchive."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.client import BaseClient

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
PATTERN = '{ "source": ["shop"],\n  "detail": {"total": [{"numeric": [">", 1e1]}]} }'
NOT_REPLAYED = {"replay-name": [{"exists": False}]}
MANAGED_BY = "prod.vhs.events.aws.internal"
Refusal = Callable[..., tuple[str, str]]
Archive = Callable[..., dict[str, Any]]


def bus_arn(bus: str, region: str = EAST, account: str = ACCOUNT) -> str:
    """Return a bus's ARN."""
    return f"arn:aws:events:{region}:{account}:event-bus/{bus}"


def archive_arn(name: str) -> str:
    """Return an archive's ARN."""
    return f"arn:aws:events:{EAST}:{ACCOUNT}:archive/{name}"


def invalid(reason: str) -> tuple[str, str]:
    """Return the refusal of an EventSourceArn."""
    return "ValidationException", f"Parameter EventSourceArn is not valid. Reason: {reason}"


@pytest.fixture
def archive(events: BaseClient, bus: str) -> Iterator[Archive]:
    """Create archives of the bus; they are gone before the bus has to go."""
    made: list[str] = []

    def archive(name: str = bus, **settings: Any) -> dict[str, Any]:
        answer = events.create_archive(
            ArchiveName=name, **{"EventSourceArn": bus_arn(bus), **settings}
        )
        made.append(name)
        del answer["ResponseMetadata"]
        return answer

    yield archive
    for name in made:
        if events.list_archives(NamePrefix=name)["Archives"]:
            events.delete_archive(ArchiveName=name)


@pytest.fixture
def rule_of(events: BaseClient, bus: str) -> Callable[[], dict[str, Any]]:
    """Return the managed rule of the bus's archive, which has the bus's name."""

    def rule_of() -> dict[str, Any]:
        found = events.describe_rule(Name=f"Events-Archive-{bus}", EventBusName=bus)
        del found["ResponseMetadata"]
        return found

    return rule_of


# --- one operation after the other -----------------------------------------------------------


def test_create_answers_with_arn_and_state(archive: Archive, bus: str) -> None:
    """The archive is in use at once; the time is whole."""
    made = archive()

    assert 0 == made.pop("CreationTime").microsecond
    assert {"ArchiveArn": archive_arn(bus), "State": "ENABLED"} == made


def test_describe_returns_what_was_created(events: BaseClient, archive: Archive, bus: str) -> None:
    """Pattern and description come back byte for byte; sizes are nothing."""
    made = archive(EventPattern=PATTERN, Description="all  paid", RetentionDays=7)
    found = events.describe_archive(ArchiveName=bus)
    del found["ResponseMetadata"]

    assert {
        "ArchiveArn": archive_arn(bus),
        "ArchiveName": bus,
        "EventSourceArn": bus_arn(bus),
        "Description": "all  paid",
        "EventPattern": PATTERN,
        "State": "ENABLED",
        "RetentionDays": 7,
        "SizeBytes": 0,
        "EventCount": 0,
        "CreationTime": made["CreationTime"],
    } == found


def test_describe_leaves_out_what_was_not_given(
    events: BaseClient, archive: Archive, bus: str
) -> None:
    """No description, no pattern; retention is 0, which keeps events for ever."""
    archive()
    found = events.describe_archive(ArchiveName=bus)

    assert {"Description", "EventPattern", "KmsKeyIdentifier"}.isdisjoint(found)
    assert 0 == found["RetentionDays"]


def test_an_archive_of_the_default_bus(events: BaseClient, name: str) -> None:
    """The default bus has an ARN like any other."""
    events.create_archive(ArchiveName=name, EventSourceArn=bus_arn("default"))
    found = events.describe_archive(ArchiveName=name)
    events.delete_archive(ArchiveName=name)

    assert bus_arn("default") == found["EventSourceArn"]


def test_list_shows_less_than_describe(events: BaseClient, archive: Archive, bus: str) -> None:
    """ListArchives has neither ARN nor description nor pattern."""
    made = archive(EventPattern=PATTERN, Description="d")

    assert [
        {
            "ArchiveName": bus,
            "EventSourceArn": bus_arn(bus),
            "State": "ENABLED",
            "RetentionDays": 0,
            "SizeBytes": 0,
            "EventCount": 0,
            "CreationTime": made["CreationTime"],
        }
    ] == events.list_archives(NamePrefix=bus)["Archives"]


def test_update_changes_only_what_is_given(events: BaseClient, archive: Archive, bus: str) -> None:
    """The rest stays as it was, and the answer is that of CreateArchive."""
    made = archive(EventPattern=PATTERN, Description="old", RetentionDays=7)
    changed = events.update_archive(ArchiveName=bus, Description="new")
    del changed["ResponseMetadata"]
    found = events.describe_archive(ArchiveName=bus)

    assert made == changed
    assert ("new", PATTERN, 7) == (
        found["Description"],
        found["EventPattern"],
        found["RetentionDays"],
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"EventPattern": ' {"source":["b"]} '}, ' {"source":["b"]} '),
        ({"RetentionDays": 0}, 0),
        ({"RetentionDays": 2_147_483_647}, 2_147_483_647),
    ],
    ids=["pattern", "no-retention", "all-retention"],
)
def test_update_of_one_member(
    events: BaseClient, archive: Archive, bus: str, changes: dict[str, Any], expected: object
) -> None:
    """Each member can be changed by itself, verbatim."""
    archive(RetentionDays=7)
    events.update_archive(ArchiveName=bus, **changes)
    (member,) = changes

    assert expected == events.describe_archive(ArchiveName=bus)[member]


def test_delete_takes_the_archive_away(
    events: BaseClient, archive: Archive, bus: str, refusal: Refusal
) -> None:
    """A deleted archive is not found, and deleting it again is an error."""
    archive()
    events.delete_archive(ArchiveName=bus)
    missing = ("ResourceNotFoundException", f"Archive {bus} does not exist.")

    assert missing == refusal(events.describe_archive, ArchiveName=bus)
    assert missing == refusal(events.delete_archive, ArchiveName=bus)
    assert missing == refusal(events.update_archive, ArchiveName=bus, RetentionDays=1)


# --- what is refused -------------------------------------------------------------------------


def test_a_name_is_taken_once(archive: Archive, bus: str, refusal: Refusal) -> None:
    """Even the identical request is a duplicate."""
    archive()

    assert (
        "ResourceAlreadyExistsException",
        f"Archive {bus} already exists.",
    ) == refusal(archive)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (
            f"arn:aws:events:{EAST}:{ACCOUNT}:rule/some-rule",
            invalid("Must contain an event bus ARN."),
        ),
        (
            bus_arn("no-such-bus"),
            ("ResourceNotFoundException", "Event bus no-such-bus does not exist."),
        ),
        (
            bus_arn("default", region=WEST),
            ("ValidationException", "Cross-region API call is not allowed."),
        ),
        (
            "default",
            (
                "ValidationException",
                "1 validation error detected: Value 'default' at 'eventSourceArn' failed to "
                "satisfy constraint: Member must satisfy regular expression pattern: "
                r"^arn:aws([a-z]|\-)*:events:([a-z]|\d|\-)*:([0-9]{12})?:.+\/.+$",
            ),
        ),
    ],
    ids=["rule", "unknown-bus", "other-region", "name"],
)
def test_a_source_that_is_no_bus(
    events: BaseClient, name: str, refusal: Refusal, source: str, expected: tuple[str, str]
) -> None:
    """The source is the ARN of a bus that is there."""
    assert expected == refusal(events.create_archive, ArchiveName=name, EventSourceArn=source)


def test_another_accounts_bus(events: BaseClient, name: str, refusal: Refusal) -> None:
    """A bus of another account would have to allow it."""
    source = bus_arn("default", account="111111111111")
    code, message = refusal(events.create_archive, ArchiveName=name, EventSourceArn=source)

    assert "AccessDeniedException" == code
    assert "events:CreateArchive" in message


@pytest.mark.parametrize("pattern", ["{}", '{"source":[]}', "not json"])
def test_a_pattern_that_is_not_valid(
    events: BaseClient, archive: Archive, bus: str, refusal: Refusal, pattern: str
) -> None:
    """CreateArchive and UpdateArchive refuse it, and change nothing."""
    code, message = refusal(archive, EventPattern=pattern)
    archive(EventPattern=PATTERN)

    assert "InvalidEventPatternException" == code
    assert message.startswith("Event pattern is not valid. Reason: ")
    assert (code, message) == refusal(events.update_archive, ArchiveName=bus, EventPattern=pattern)
    assert PATTERN == events.describe_archive(ArchiveName=bus)["EventPattern"]


def test_a_name_has_48_characters_at_most(events: BaseClient, refusal: Refusal) -> None:
    """Length comes before pattern, and both are told."""
    name = "no spaces" + "x" * 40

    assert (
        "ValidationException",
        f"2 validation errors detected: Value '{name}' at 'archiveName' failed to satisfy "
        "constraint: Member must have length less than or equal to 48; "
        f"Value '{name}' at 'archiveName' failed to satisfy constraint: Member must satisfy "
        r"regular expression pattern: [\.\-_A-Za-z0-9]+",
    ) == refusal(events.create_archive, ArchiveName=name, EventSourceArn=bus_arn("default"))


def test_keys_of_ones_own_are_refused(archive: Archive, refusal: Refusal) -> None:
    """Farspan has no KMS, so naming a key must not look as if it were used."""
    assert (
        "ValidationException",
        "Parameter KmsKeyIdentifier is not valid. Reason: Farspan does not have "
        "KmsKeyIdentifier yet.",
    ) == refusal(archive, KmsKeyIdentifier="alias/mine")


def test_an_update_of_nothing(events: BaseClient, name: str, refusal: Refusal) -> None:
    """That something must be given comes before the archive's existence."""
    assert (
        "ValidationException",
        "At least one of EventPattern, RetentionDays or Description must be provided.",
    ) == refusal(events.update_archive, ArchiveName=name)


def test_a_rule_has_the_name_already(
    events: BaseClient, archive: Archive, bus: str, refusal: Refusal
) -> None:
    """The managed rule takes no rule's place."""
    rule = f"Events-Archive-{bus}"
    events.put_rule(Name=rule, EventBusName=bus, EventPattern=PATTERN)

    assert (
        "ResourceAlreadyExistsException",
        f"Rule {rule} already exists on EventBus {bus}; the archive needs that name for its "
        "managed rule.",
    ) == refusal(archive)


# --- lists -----------------------------------------------------------------------------------


def test_lists_are_in_order_of_name_and_in_pages(
    events: BaseClient, archive: Archive, bus: str, refusal: Refusal
) -> None:
    """A token brings the next page of the same filter, and of no other."""
    names = [f"{bus}-{letter}" for letter in "cab"]
    for name in names:
        archive(name)
    first = events.list_archives(NamePrefix=bus, Limit=2)
    second = events.list_archives(NamePrefix=bus, Limit=2, NextToken=first["NextToken"])

    assert sorted(names) == [
        found["ArchiveName"] for found in first["Archives"] + second["Archives"]
    ]
    assert "NextToken" not in second
    assert (
        "ValidationException",
        "Parameter NextToken is not valid. Reason: Token invalid.",
    ) == refusal(events.list_archives, NextToken=first["NextToken"])


def test_lists_by_source_and_state(
    events: BaseClient, archive: Archive, bus: str, refusal: Refusal
) -> None:
    """Only a bus's archives, only those of a state; a bus that is not there is an error."""
    archive()
    of_bus = events.list_archives(EventSourceArn=bus_arn(bus))["Archives"]
    of_default = events.list_archives(EventSourceArn=bus_arn("default"))["Archives"]
    enabled = [found["ArchiveName"] for found in events.list_archives(State="ENABLED")["Archives"]]
    disabled = events.list_archives(State="DISABLED")["Archives"]

    assert [bus] == [found["ArchiveName"] for found in of_bus]
    assert bus in enabled
    assert bus not in [found["ArchiveName"] for found in [*disabled, *of_default]]
    assert (
        "ResourceNotFoundException",
        "Event bus no-such-bus does not exist.",
    ) == refusal(events.list_archives, EventSourceArn=bus_arn("no-such-bus"))


@pytest.mark.parametrize(
    "filters",
    [
        {"NamePrefix": "a", "State": "ENABLED"},
        {"NamePrefix": "a", "EventSourceArn": bus_arn("default")},
        {"State": "ENABLED", "EventSourceArn": bus_arn("default")},
    ],
    ids=["name-state", "name-source", "state-source"],
)
def test_filters_exclude_each_other(
    events: BaseClient, refusal: Refusal, filters: dict[str, str]
) -> None:
    """ListArchives takes one filter at most."""
    assert (
        "ValidationException",
        "Only one of NamePrefix, EventSourceArn, or State can be provided for ListArchives.",
    ) == refusal(events.list_archives, **filters)


def test_an_account_sees_its_own(
    archive: Archive, bus: str, other: Callable[..., BaseClient], refusal: Refusal
) -> None:
    """Another account neither lists nor finds the archive."""
    archive()

    assert [] == other("events").list_archives(NamePrefix=bus)["Archives"]
    assert (
        "ResourceNotFoundException" == refusal(other("events").describe_archive, ArchiveName=bus)[0]
    )


# --- the managed rule ------------------------------------------------------------------------


def test_the_rule_is_described_and_listed(
    events: BaseClient, archive: Archive, bus: str, rule_of: Callable[[], dict[str, Any]]
) -> None:
    """The rule has the archive's pattern without replayed events, and says who manages it."""
    archive(EventPattern=PATTERN)
    rule = rule_of()

    assert {**json.loads(PATTERN), **NOT_REPLAYED} == json.loads(rule.pop("EventPattern"))
    assert {
        "Name": f"Events-Archive-{bus}",
        "Arn": f"arn:aws:events:{EAST}:{ACCOUNT}:rule/{bus}/Events-Archive-{bus}",
        "State": "ENABLED",
        "ManagedBy": MANAGED_BY,
        "EventBusName": bus,
        "CreatedBy": ACCOUNT,
    } == rule
    assert [MANAGED_BY] == [
        found["ManagedBy"] for found in events.list_rules(EventBusName=bus)["Rules"]
    ]


def test_the_rule_without_a_pattern(
    archive: Archive, rule_of: Callable[[], dict[str, Any]]
) -> None:
    """An archive of everything leaves out replayed events only."""
    archive()

    assert NOT_REPLAYED == json.loads(rule_of()["EventPattern"])


def test_the_rules_target(events: BaseClient, archive: Archive, bus: str) -> None:
    """The target is the Region's archiver; the template names the archive and when it was made."""
    archive()
    rule = f"Events-Archive-{bus}"
    (target,) = events.list_targets_by_rule(Rule=rule, EventBusName=bus)["Targets"]
    template = target.pop("InputTransformer")["InputTemplate"]

    assert {"Id": rule, "Arn": f"arn:aws:events:{EAST}:::"} == target
    assert f'"{archive_arn(bus)}:' in template
    assert "<aws.events.event.json>" in template


@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        ("put_rule", {"EventPattern": PATTERN}, "{rule} is a managed rule."),
        (
            "delete_rule",
            {},
            "{rule} is a managed rule. Set 'force' parameter to true to override.",
        ),
        (
            "put_targets",
            {"Targets": [{"Id": "q", "Arn": f"arn:aws:sqs:{EAST}:{ACCOUNT}:q"}]},
            "{rule} is a managed rule.",
        ),
        (
            "remove_targets",
            {"Ids": ["q"]},
            "{rule} is a managed rule. Set 'force' parameter to true to override.",
        ),
    ],
    ids=["PutRule", "DeleteRule", "PutTargets", "RemoveTargets"],
)
def test_the_rule_is_guarded(
    events: BaseClient,
    archive: Archive,
    bus: str,
    refusal: Refusal,
    operation: str,
    params: dict[str, Any],
    message: str,
) -> None:
    """Each operation refuses it in its own words."""
    archive()
    rule = f"Events-Archive-{bus}"
    name = {"Rule": rule} if operation.endswith("targets") else {"Name": rule}

    assert ("ManagedRuleException", message.replace("{rule}", rule)) == refusal(
        getattr(events, operation), EventBusName=bus, **name, **params
    )


def test_force_disables_the_archive_and_an_update_repairs_it(
    events: BaseClient, archive: Archive, bus: str, refusal: Refusal
) -> None:
    """Without its target, or without its rule, an archive is DISABLED until it is updated."""
    archive()
    rule = {"EventBusName": bus, "Force": True}

    def state() -> str:
        found: str = events.describe_archive(ArchiveName=bus)["State"]
        return found

    assert (
        "ValidationException",
        "Rule can't be deleted since it has targets.",
    ) == refusal(events.delete_rule, Name=f"Events-Archive-{bus}", **rule)
    events.remove_targets(Rule=f"Events-Archive-{bus}", Ids=[f"Events-Archive-{bus}"], **rule)
    assert "DISABLED" == state()
    assert [bus] == [a["ArchiveName"] for a in events.list_archives(State="DISABLED")["Archives"]]
    events.delete_rule(Name=f"Events-Archive-{bus}", **rule)
    assert [] == events.list_rules(EventBusName=bus)["Rules"]
    assert "ENABLED" == events.update_archive(ArchiveName=bus, Description="d")["State"]
    assert 1 == len(events.list_rules(EventBusName=bus)["Rules"])


def test_force_with_other_ids_changes_nothing(
    events: BaseClient, archive: Archive, bus: str
) -> None:
    """Ids that the rule does not have are removed already."""
    archive()
    events.remove_targets(
        Rule=f"Events-Archive-{bus}", EventBusName=bus, Ids=["another"], Force=True
    )

    assert "ENABLED" == events.describe_archive(ArchiveName=bus)["State"]


@pytest.mark.parametrize("with_rule", [True, False], ids=["with-rule", "without-rule"])
def test_a_bus_with_an_archive_stays(
    events: BaseClient, archive: Archive, bus: str, refusal: Refusal, with_rule: bool
) -> None:
    """The managed rule counts as a rule, and an archive needs its bus in any case."""
    archive()
    rule = f"Events-Archive-{bus}"
    if not with_rule:
        events.remove_targets(Rule=rule, EventBusName=bus, Ids=[rule], Force=True)
        events.delete_rule(Name=rule, EventBusName=bus, Force=True)

    assert (
        "ValidationException",
        "EventBus can't be deleted since it has rules.",
    ) == refusal(events.delete_event_bus, Name=bus)


# --- events in it ----------------------------------------------------------------------------


def put(events: BaseClient, bus: str, *numbers: int, source: str = "shop") -> None:
    """Put events with these numbers."""
    for number in numbers:
        detail = json.dumps({"n": number})
        entry = {"Source": source, "DetailType": "t", "Detail": detail, "EventBusName": bus}
        assert 0 == events.put_events(Entries=[entry])["FailedEntryCount"]


@pytest.fixture
def count_is(
    events: BaseClient, bus: str, eventually: Callable[..., Any]
) -> Callable[[int], dict[str, Any]]:
    """Wait until the archive holds so many events, and return it."""

    def count_is(count: int) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            described: dict[str, Any] = events.describe_archive(ArchiveName=bus)
            return described if described["EventCount"] >= count else None

        described: dict[str, Any] = eventually(found)
        assert count == described["EventCount"]
        return described

    return count_is


def test_an_archive_takes_what_its_pattern_matches(
    events: BaseClient, archive: Archive, bus: str, count_is: Callable[[int], dict[str, Any]]
) -> None:
    """From its creation on; the sizes are those of the events, also in the list."""
    put(events, bus, 1)
    archive(EventPattern='{"source":["shop"]}')
    put(events, bus, 2, source="other")
    put(events, bus, 3, 4)
    found = count_is(2)
    (listed,) = events.list_archives(NamePrefix=bus)["Archives"]

    assert 2 * 150 < found["SizeBytes"] < 2 * 400
    assert (2, found["SizeBytes"]) == (listed["EventCount"], listed["SizeBytes"])


def test_a_pattern_that_is_changed(
    events: BaseClient, archive: Archive, bus: str, count_is: Callable[[int], dict[str, Any]]
) -> None:
    """UpdateArchive takes effect on what is put afterwards, and keeps what is archived."""
    archive(EventPattern='{"source":["shop"]}')
    put(events, bus, 1)
    count_is(1)
    events.update_archive(ArchiveName=bus, EventPattern='{"source":["other"]}')
    put(events, bus, 2)
    put(events, bus, 3, source="other")

    count_is(2)


def test_two_archives_of_a_bus(
    events: BaseClient, archive: Archive, bus: str, count_is: Callable[[int], dict[str, Any]]
) -> None:
    """Each has its own events; one that is made anew has none."""
    archive()
    archive(f"{bus}-2", EventPattern='{"detail":{"n":[2]}}')
    put(events, bus, 1, 2)
    count_is(2)
    second = events.describe_archive(ArchiveName=f"{bus}-2")["EventCount"]
    events.delete_archive(ArchiveName=bus)
    events.create_archive(ArchiveName=bus, EventSourceArn=bus_arn(bus))

    assert 1 == second
    assert (0, 0) == (count_is(0)["EventCount"], count_is(0)["SizeBytes"])


def test_an_archive_whose_target_is_gone_takes_nothing(
    events: BaseClient, archive: Archive, bus: str, count_is: Callable[[int], dict[str, Any]]
) -> None:
    """Until UpdateArchive makes it whole; what was put in between is not made up for."""
    rule = f"Events-Archive-{bus}"
    archive()
    events.remove_targets(Rule=rule, EventBusName=bus, Ids=[rule], Force=True)
    put(events, bus, 1)
    events.delete_rule(Name=rule, EventBusName=bus, Force=True)
    put(events, bus, 2)
    events.update_archive(ArchiveName=bus, Description="whole again")
    put(events, bus, 3)

    count_is(1)
