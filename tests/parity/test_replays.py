"""StartReplay, DescribeReplay, ListReplays, CancelReplay."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import QueueOf

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
END = START + timedelta(hours=1)
Refusal = Callable[..., tuple[str, str]]
Replay = Callable[..., dict[str, Any]]


def arn(resource: str, region: str = EAST, account: str = ACCOUNT) -> str:
    """Return the ARN of an events resource."""
    return f"arn:aws:events:{region}:{account}:{resource}"


def invalid(parameter: str, reason: str) -> tuple[str, str]:
    """Return the refusal of a parameter."""
    return "ValidationException", f"Parameter {parameter} is not valid. Reason: {reason}"


@pytest.fixture
def archived(events: BaseClient, bus: str) -> Iterator[str]:
    """A bus with an archive of its own name."""
    events.create_archive(ArchiveName=bus, EventSourceArn=arn(f"event-bus/{bus}"))
    yield bus
    events.delete_archive(ArchiveName=bus)


@pytest.fixture
def replay(events: BaseClient, archived: str) -> Replay:
    """Start a replay of the archive, of its own name unless told."""

    def replay(name: str = archived, **changes: Any) -> dict[str, Any]:
        answer = events.start_replay(
            **{
                "ReplayName": name,
                "EventSourceArn": arn(f"archive/{archived}"),
                "EventStartTime": START,
                "EventEndTime": END,
                "Destination": {"Arn": arn(f"event-bus/{archived}")},
                **changes,
            }
        )
        del answer["ResponseMetadata"]
        return answer

    return replay


@pytest.fixture
def ended(events: BaseClient, eventually: Callable[..., Any]) -> Callable[[str], dict[str, Any]]:
    """Wait until a replay has ended, and return it."""

    def ended(name: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            described: dict[str, Any] = events.describe_replay(ReplayName=name)
            return described if "ReplayEndTime" in described else None

        described: dict[str, Any] = eventually(found)
        del described["ResponseMetadata"]
        return described

    return ended


def test_start_answers_at_once(replay: Replay, archived: str) -> None:
    """The replay is STARTING, and its time is whole."""
    made = replay()

    assert 0 == made.pop("ReplayStartTime").microsecond
    assert {"ReplayArn": arn(f"replay/{archived}"), "State": "STARTING"} == made


def test_a_replay_of_nothing(
    replay: Replay, archived: str, ended: Callable[[str], dict[str, Any]]
) -> None:
    """It is COMPLETED; DescribeReplay has everything that was asked for."""
    made = replay(Description="again", Destination={"Arn": arn(f"event-bus/{archived}")})
    found = ended(archived)

    assert 0 == found.pop("ReplayEndTime").microsecond
    assert {
        "ReplayName": archived,
        "ReplayArn": arn(f"replay/{archived}"),
        "Description": "again",
        "State": "COMPLETED",
        "EventSourceArn": arn(f"archive/{archived}"),
        "Destination": {"Arn": arn(f"event-bus/{archived}")},
        "EventStartTime": START,
        "EventEndTime": END,
        "ReplayStartTime": made["ReplayStartTime"],
    } == found


def test_a_replay_from_end_to_end(
    events: BaseClient,
    replay: Replay,
    archived: str,
    ended: Callable[[str], dict[str, Any]],
    eventually: Callable[..., Any],
    queue: QueueOf,
    subscribe: Callable[..., None],
) -> None:
    """The window's events come again, with the replay's name and ids of their own; others do not.

    Nothing that is replayed is archived again.
    """
    subscribe(archived, queue, '{"source":["shop"]}')
    for minute in (-1, 0, 30, 60):
        entry = {
            "Source": "shop",
            "DetailType": "t",
            "Detail": json.dumps({"minute": minute}),
            "EventBusName": archived,
            "Time": START + timedelta(minutes=minute),
            "Resources": ["r:1"],
        }
        events.put_events(Entries=[entry])
    live = {e["detail"]["minute"]: e for e in queue.receive_events(4)}
    eventually(lambda: events.describe_archive(ArchiveName=archived)["EventCount"] == 4)
    replay()
    again = {e["detail"]["minute"]: e for e in queue.receive_events(2)}
    found = ended(archived)

    assert {0, 30} == again.keys()
    for minute, event in again.items():
        original = live[minute]
        assert archived == event.pop("replay-name")
        assert original.pop("id") != event.pop("id")
        assert original == event
    assert "COMPLETED" == found["State"]
    assert START + timedelta(minutes=30) == found["EventLastReplayedTime"]
    assert 4 == events.describe_archive(ArchiveName=archived)["EventCount"]
    assert queue.is_empty()


def test_a_replay_to_one_rule(
    events: BaseClient,
    replay: Replay,
    archived: str,
    eventually: Callable[..., Any],
    queue: QueueOf,
) -> None:
    """Only the rules that FilterArns names get the events."""
    for rule in (archived, "other"):
        events.put_rule(Name=rule, EventBusName=archived, EventPattern='{"source":["shop"]}')
        targets = [{"Id": "q", "Arn": queue.arn, "Input": json.dumps(rule)}]
        events.put_targets(Rule=rule, EventBusName=archived, Targets=targets)
    entry = {"Source": "shop", "DetailType": "t", "Detail": "{}", "EventBusName": archived}
    events.put_events(Entries=[{**entry, "Time": START}])
    queue.receive(2)
    eventually(lambda: events.describe_archive(ArchiveName=archived)["EventCount"] == 1)
    filters = [arn(f"rule/{archived}/other")]
    replay(Destination={"Arn": arn(f"event-bus/{archived}"), "FilterArns": filters})
    (message,) = queue.receive(1)

    assert "other" == json.loads(message["Body"])
    assert queue.is_empty()


def test_a_replay_to_some_rules(events: BaseClient, replay: Replay, archived: str) -> None:
    """FilterArns are kept as they are given."""
    events.put_rule(Name="r", EventBusName=archived, EventPattern='{"source":["a"]}')
    destination = {
        "Arn": arn(f"event-bus/{archived}"),
        "FilterArns": [arn(f"rule/{archived}/r")],
    }
    replay(Destination=destination)

    assert destination == events.describe_replay(ReplayName=archived)["Destination"]


def test_list_shows_less_than_describe(
    events: BaseClient, replay: Replay, archived: str, ended: Callable[[str], dict[str, Any]]
) -> None:
    """ListReplays has neither ARN nor description nor destination."""
    replay(Description="d")
    found = ended(archived)
    for member in ("ReplayArn", "Description", "Destination"):
        del found[member]

    assert [found] == events.list_replays(NamePrefix=archived)["Replays"]


def test_lists_are_in_order_of_name_and_in_pages(
    events: BaseClient, replay: Replay, archived: str, refusal: Refusal
) -> None:
    """A token brings the next page of the same filter, and of no other."""
    names = [f"{archived}-{letter}" for letter in "cab"]
    for name in names:
        replay(name)
    first = events.list_replays(NamePrefix=archived, Limit=2)
    second = events.list_replays(NamePrefix=archived, Limit=2, NextToken=first["NextToken"])

    assert sorted(names) == [found["ReplayName"] for found in first["Replays"] + second["Replays"]]
    assert "NextToken" not in second
    assert (
        "ValidationException",
        "Parameter NextToken is not valid. Reason: Token invalid.",
    ) == refusal(events.list_replays, NextToken=first["NextToken"])


def test_lists_by_source_and_state(
    events: BaseClient, replay: Replay, archived: str, ended: Callable[[str], dict[str, Any]]
) -> None:
    """Only an archive's replays, only those of a state."""
    replay()
    ended(archived)
    of_archive = events.list_replays(EventSourceArn=arn(f"archive/{archived}"))["Replays"]
    completed = events.list_replays(State="COMPLETED")["Replays"]

    assert [archived] == [found["ReplayName"] for found in of_archive]
    assert archived in [found["ReplayName"] for found in completed]
    assert [] == events.list_replays(State="CANCELLED")["Replays"]


@pytest.mark.parametrize(
    "filters",
    [
        {"NamePrefix": "a", "State": "FAILED"},
        {"NamePrefix": "a", "EventSourceArn": arn("archive/a")},
        {"State": "FAILED", "EventSourceArn": arn("archive/a")},
    ],
    ids=["name-state", "name-source", "state-source"],
)
def test_filters_exclude_each_other(
    events: BaseClient, refusal: Refusal, filters: dict[str, str]
) -> None:
    """ListReplays takes one filter at most."""
    assert (
        "ValidationException",
        "Only one of NamePrefix, EventSourceArn, or State can be provided for ListReplays.",
    ) == refusal(events.list_replays, **filters)


def test_a_name_is_taken_once(replay: Replay, archived: str, refusal: Refusal) -> None:
    """A replay that has ended still has its name."""
    replay()

    assert (
        "ResourceAlreadyExistsException",
        f"Replay {archived} already exists.",
    ) == refusal(replay)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"EventSourceArn": arn("archive/no-such-archive")},
            invalid("EventSourceArn", "Archive no-such-archive does not exist."),
        ),
        (
            {"EventSourceArn": arn("archive/theirs", account="111111111111")},
            invalid("EventSourceArn", "Archive theirs does not exist."),
        ),
        (
            {"EventSourceArn": arn("event-bus/default")},
            invalid("EventSourceArn", "Must contain an archive ARN."),
        ),
        (
            {"EventSourceArn": arn("archive/a", region=WEST)},
            ("ValidationException", "Cross-region API call is not allowed."),
        ),
        (
            {"Destination": {"Arn": arn("event-bus/default")}},
            invalid("Destination.Arn", "Cross event bus replay is not permitted."),
        ),
        (
            {"Destination": {"Arn": arn("rule/r")}},
            invalid("Destination.Arn", "Must contain an event bus ARN."),
        ),
        (
            {"Destination": {"Arn": arn("event-bus/default", region=WEST)}},
            ("ValidationException", "Cross-region API call is not allowed."),
        ),
        (
            {"EventEndTime": START},
            invalid("EventEndTime", "EventStartTime must be before EventEndTime."),
        ),
        (
            {"EventEndTime": START - timedelta(seconds=1)},
            invalid("EventEndTime", "EventStartTime must be before EventEndTime."),
        ),
        # Where several things are wrong, the archive comes first, then the bus, then the times.
        (
            {
                "EventSourceArn": arn("archive/no-such-archive"),
                "Destination": {"Arn": arn("event-bus/default")},
                "EventEndTime": START,
            },
            invalid("EventSourceArn", "Archive no-such-archive does not exist."),
        ),
        (
            {"Destination": {"Arn": arn("event-bus/default")}, "EventEndTime": START},
            invalid("Destination.Arn", "Cross event bus replay is not permitted."),
        ),
    ],
    ids=[
        "unknown-archive",
        "anothers-archive",
        "no-archive",
        "archive-elsewhere",
        "other-bus",
        "no-bus",
        "bus-elsewhere",
        "empty-window",
        "window-backwards",
        "archive-first",
        "then-the-bus",
    ],
)
def test_what_start_refuses(
    replay: Replay, refusal: Refusal, changes: dict[str, Any], expected: tuple[str, str]
) -> None:
    """A replay goes from an archive to the archive's own bus, forwards in time."""
    assert expected == refusal(replay, **changes)


def test_filters_that_are_no_rules_of_the_bus(
    replay: Replay, archived: str, refusal: Refusal
) -> None:
    """A filter that could let nothing through is refused."""
    destination = {"Arn": arn(f"event-bus/{archived}")}

    assert invalid(
        "Destination.FilterArns", f"Must contain ARNs of rules on EventBus {archived}."
    ) == refusal(replay, Destination={**destination, "FilterArns": [arn("rule/r")]})
    assert (
        "ResourceNotFoundException",
        f"Rule r does not exist on EventBus {archived}.",
    ) == refusal(replay, Destination={**destination, "FilterArns": [arn(f"rule/{archived}/r")]})


def test_cancel_when_it_is_over(
    events: BaseClient,
    replay: Replay,
    archived: str,
    ended: Callable[[str], dict[str, Any]],
    refusal: Refusal,
) -> None:
    """A replay that has ended cannot be cancelled."""
    replay()
    ended(archived)

    assert (
        "IllegalStatusException",
        f"Replay {archived} is not in a valid state for this operation.",
    ) == refusal(events.cancel_replay, ReplayName=archived)


@pytest.mark.parametrize("operation", ["describe_replay", "cancel_replay"])
def test_a_replay_that_does_not_exist(
    events: BaseClient, name: str, refusal: Refusal, operation: str
) -> None:
    """It is named in the error."""
    assert (
        "ResourceNotFoundException",
        f"Replay {name} does not exist.",
    ) == refusal(getattr(events, operation), ReplayName=name)


def test_an_account_sees_its_own(
    replay: Replay, archived: str, other: Callable[..., BaseClient], refusal: Refusal
) -> None:
    """Another account neither lists nor finds the replay."""
    replay()

    assert [] == other("events").list_replays(NamePrefix=archived)["Replays"]
    assert (
        "ResourceNotFoundException"
        == refusal(other("events").describe_replay, ReplayName=archived)[0]
    )
