"""CloudWatch Logs: groups, streams, events, filter patterns; and log groups as targets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from farspan.clock import SystemClock

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from tests.parity.conftest import (
        ClientFactory,
        Deployment,
        Eventually,
        QueueOf,
        Send,
        SignedHeaders,
    )

EAST, WEST = "us-east-1", "us-west-2"
OWN, OTHER = "000000000000", "111111111111"
EVERYTHING = '{"source":[{"prefix":""}]}'
Refusal = Callable[..., tuple[str, str]]
NO_GROUP = ("ResourceNotFoundException", "The specified log group does not exist.")
NO_STREAM = ("ResourceNotFoundException", "The specified log stream does not exist.")


def now_ms() -> int:
    """Return the time in milliseconds."""
    return int(SystemClock().now() * 1_000)


def arn_of(group: str, account: str = OWN) -> str:
    """Return a group's ARN."""
    return f"arn:aws:logs:{EAST}:{account}:log-group:{group}"


@pytest.fixture(scope="session")
def logs(client: ClientFactory) -> Any:
    """CloudWatch Logs in us-east-1."""
    return client("logs")


@pytest.fixture
def group(logs: BaseClient, name: str) -> Iterator[str]:
    """A log group."""
    made = f"/aws/events/{name}"
    logs.create_log_group(logGroupName=made)
    yield made
    logs.delete_log_group(logGroupName=made)


@pytest.fixture
def stream(logs: BaseClient, group: str) -> dict[str, str]:
    """A stream of the group, as calls name it."""
    where = {"logGroupName": group, "logStreamName": "s"}
    logs.create_log_stream(**where)
    return where


def put(
    logs: BaseClient, where: dict[str, str], *messages: str, at: int | None = None
) -> dict[str, Any]:
    """Put messages into a stream, a millisecond apart."""
    start = at or now_ms()
    entries = [{"timestamp": start + i, "message": text} for i, text in enumerate(messages)]
    answer: dict[str, Any] = logs.put_log_events(**where, logEvents=entries)
    return answer


def messages(answer: dict[str, Any]) -> list[str]:
    """Return the messages of an answer."""
    return [event["message"] for event in answer["events"]]


class TestGroups:
    """Log groups come and go by name, within an account and a Region."""

    def test_a_group_is_shown_as_it_was_made(
        self, logs: BaseClient, group: str, client: ClientFactory, other: ClientFactory
    ) -> None:
        """With its ARNs, to its account and in its Region alone."""
        (shown,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]

        assert abs(now_ms() - shown.pop("creationTime")) < 60_000
        assert {
            "logGroupName": group,
            "metricFilterCount": 0,
            "arn": f"{arn_of(group)}:*",
            "logGroupArn": arn_of(group),
            "logGroupClass": "STANDARD",
        } == shown
        for elsewhere in (client("logs", WEST), other("logs")):
            assert [] == elsewhere.describe_log_groups(logGroupNamePrefix=group)["logGroups"]

    def test_lists_by_prefix_part_and_page(self, logs: BaseClient, name: str) -> None:
        """A prefix or a part narrows; the paginator joins the pages."""
        groups = [f"{name}/{letter}" for letter in "abc"]
        for each in groups:
            logs.create_log_group(logGroupName=each)
        pages = logs.get_paginator("describe_log_groups").paginate(
            logGroupNamePrefix=f"{name}/", PaginationConfig={"PageSize": 2}
        )
        found = [g["logGroupName"] for page in pages for g in page["logGroups"]]
        part = logs.describe_log_groups(logGroupNamePattern=f"{name}/b")["logGroups"]
        for each in groups:
            logs.delete_log_group(logGroupName=each)

        assert groups == found
        assert [f"{name}/b"] == [g["logGroupName"] for g in part]

    def test_retention_and_tags(self, logs: BaseClient, group: str, refusal: Refusal) -> None:
        """Days of retention are those of AWS's list; tags are added and removed by key."""
        logs.put_retention_policy(logGroupName=group, retentionInDays=7)
        (kept,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        logs.delete_retention_policy(logGroupName=group)
        (endless,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        code, message = refusal(logs.put_retention_policy, logGroupName=group, retentionInDays=2)
        logs.tag_resource(resourceArn=arn_of(group), tags={"a": "1", "b": "2"})
        logs.untag_resource(resourceArn=arn_of(group), tagKeys=["a", "c"])

        assert 7 == kept["retentionInDays"]
        assert "retentionInDays" not in endless
        assert "InvalidParameterException" == code
        assert message.startswith("1 validation error detected: Value '2' at 'retentionInDays'")
        assert {"b": "2"} == logs.list_tags_for_resource(resourceArn=arn_of(group))["tags"]

    def test_a_group_made_anew_is_empty(
        self, logs: BaseClient, name: str, refusal: Refusal
    ) -> None:
        """What the former one of the name had is gone."""
        where = {"logGroupName": name, "logStreamName": "s"}
        for _ in range(2):
            logs.create_log_group(logGroupName=name)
            assert [] == logs.describe_log_streams(logGroupName=name)["logStreams"]
            assert [] == logs.filter_log_events(logGroupName=name)["events"]
            logs.create_log_stream(**where)
            put(logs, where, "before")
            logs.delete_log_group(logGroupName=name)

        assert NO_GROUP == refusal(logs.get_log_events, **where)

    def test_refusals(
        self, logs: BaseClient, unchecked: ClientFactory, group: str, name: str, refusal: Refusal
    ) -> None:
        """In CloudWatch Logs' words; what Farspan does not have is refused by name."""
        taken = "ResourceAlreadyExistsException"
        assert (taken, "The specified log group already exists") == refusal(
            logs.create_log_group, logGroupName=group
        )
        assert NO_GROUP == refusal(logs.delete_log_group, logGroupName=name)
        assert (
            "InvalidParameterException",
            "Parameter kmsKeyId is not valid. Reason: Farspan does not have kmsKeyId yet.",
        ) == refusal(logs.create_log_group, logGroupName=name, kmsKeyId="k")
        code, message = refusal(unchecked("logs").create_log_group, logGroupName="a b")
        assert "InvalidParameterException" == code
        assert message.startswith("1 validation error detected: Value 'a b' at 'logGroupName'")


class TestEvents:
    """Events are durable when PutLogEvents answers, and are read by time."""

    def test_forward_and_backward(self, logs: BaseClient, stream: dict[str, str]) -> None:
        """The latest page comes first unless told; tokens go on in either direction."""
        put(logs, stream, *"abcde")
        latest = logs.get_log_events(**stream, limit=2)
        before = logs.get_log_events(**stream, limit=2, nextToken=latest["nextBackwardToken"])
        first = logs.get_log_events(**stream, limit=2, startFromHead=True)
        second = logs.get_log_events(**stream, limit=9, nextToken=first["nextForwardToken"])
        end = logs.get_log_events(**stream, nextToken=second["nextForwardToken"])
        put(logs, stream, "f", at=now_ms() + 1_000)
        more = logs.get_log_events(**stream, nextToken=end["nextForwardToken"])

        assert ["de", "bc", "ab", "cde", "", "f"] == [
            "".join(messages(answer)) for answer in (latest, before, first, second, end, more)
        ]
        assert end["nextForwardToken"] == second["nextForwardToken"]

    def test_order_is_by_time(self, logs: BaseClient, stream: dict[str, str]) -> None:
        """What came later and is older stands before; windows end before their end."""
        start = now_ms()
        put(logs, stream, "late", at=start)
        put(logs, stream, "early", at=start - 10)
        window = {"startTime": start - 10, "endTime": start}

        assert ["early", "late"] == messages(logs.get_log_events(**stream, startFromHead=True))
        assert ["early"] == messages(logs.get_log_events(**stream, **window))

    def test_streams_tell_of_their_events(self, logs: BaseClient, stream: dict[str, str]) -> None:
        """First, last and arrival; by name, or by the last event."""
        group, start = stream["logGroupName"], now_ms()
        logs.create_log_stream(logGroupName=group, logStreamName="a")
        put(logs, stream, "x", "y", at=start)
        named, timed = (
            logs.describe_log_streams(logGroupName=group, **order)["logStreams"]
            for order in ({}, {"orderBy": "LastEventTime", "descending": True})
        )
        (shown,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="s")[
            "logStreams"
        ]

        assert ["a", "s"] == [each["logStreamName"] for each in named]
        assert ["s", "a"] == [each["logStreamName"] for each in timed]
        assert (start, start + 1, f"{arn_of(group)}:log-stream:s") == (
            shown["firstEventTimestamp"],
            shown["lastEventTimestamp"],
            shown["arn"],
        )

    def test_a_deleted_streams_events_are_gone(
        self, logs: BaseClient, stream: dict[str, str], refusal: Refusal
    ) -> None:
        """A new one of the name has none of them."""
        put(logs, stream, "x")
        logs.delete_log_stream(**stream)
        gone = refusal(logs.get_log_events, **stream)
        logs.create_log_stream(**stream)

        assert NO_STREAM == gone
        assert [] == messages(logs.get_log_events(**stream))
        assert [] == messages(logs.filter_log_events(logGroupName=stream["logGroupName"]))

    def test_what_is_too_old_or_too_new(self, logs: BaseClient, stream: dict[str, str]) -> None:
        """Is left out and named; the rest is kept."""
        hour = 3_600_000
        start = now_ms()
        old = put(logs, stream, "old", at=start - 15 * 24 * hour)
        new = put(logs, stream, "fine", at=start) | put(logs, stream, "new", at=start + 3 * hour)

        assert {"tooOldLogEventEndIndex": 1} == old["rejectedLogEventsInfo"]
        assert {"tooNewLogEventStartIndex": 0} == new["rejectedLogEventsInfo"]
        assert ["fine"] == messages(logs.get_log_events(**stream))

    @pytest.mark.parametrize(
        ("events", "message"),
        [
            (
                [(1, "b"), (0, "a")],
                "Log events in a single PutLogEvents request must be in chronological order.",
            ),
            (
                [(0, "a"), (86_400_001, "b")],
                "The batch of log events in a single PutLogEvents request cannot span more than "
                "24 hours.",
            ),
            (
                [(0, "a" * 1_048_576)],
                "Upload too large: 1048602 bytes exceeds limit of 1048576",
            ),
        ],
        ids=["order", "span", "size"],
    )
    def test_batches_that_are_refused(
        self,
        logs: BaseClient,
        stream: dict[str, str],
        refusal: Refusal,
        events: list[tuple[int, str]],
        message: str,
    ) -> None:
        """As a whole, in CloudWatch Logs' words."""
        start = now_ms() - 90_000_000
        entries = [{"timestamp": start + at, "message": text} for at, text in events]

        assert ("InvalidParameterException", message) == refusal(
            logs.put_log_events, **stream, logEvents=entries
        )

    def test_a_stream_that_is_not_there(
        self, logs: BaseClient, group: str, refusal: Refusal
    ) -> None:
        """PutLogEvents makes no streams."""
        where = {"logGroupName": group, "logStreamName": "no"}
        event = {"timestamp": now_ms(), "message": "m"}

        assert NO_STREAM == refusal(logs.put_log_events, **where, logEvents=[event])


class TestFilter:
    """FilterLogEvents looks through the streams of a group."""

    def test_streams_and_pages(self, logs: BaseClient, stream: dict[str, str]) -> None:
        """All streams unless named; the paginator joins the pages, in order of time."""
        group, start = stream["logGroupName"], now_ms()
        other = {"logGroupName": group, "logStreamName": "t"}
        logs.create_log_stream(**other)
        put(logs, stream, "a", "c ERROR", at=start)
        put(logs, other, "b ERROR", "d ERROR", at=start)
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupIdentifier=arn_of(group), PaginationConfig={"PageSize": 1}
        )
        found = [event for page in pages for event in page["events"]]
        errors, named, until = (
            logs.filter_log_events(logGroupName=group, **more)
            for more in (
                {"filterPattern": "ERROR"},
                {"logStreamNames": ["s"]},
                {"endTime": start, "logStreamNamePrefix": "t"},
            )
        )

        assert [("a", "s"), ("b ERROR", "t"), ("c ERROR", "s"), ("d ERROR", "t")] == [
            (event["message"], event["logStreamName"]) for event in found
        ]
        assert 4 == len({event["eventId"] for event in found})
        assert ["b ERROR", "c ERROR", "d ERROR"] == messages(errors)
        assert ["a", "c ERROR"] == messages(named)
        assert ["b ERROR"] == messages(until)

    def test_patterns_that_are_refused(
        self, logs: BaseClient, group: str, refusal: Refusal
    ) -> None:
        """What is none, and what Farspan does not have."""
        refused = [
            refusal(logs.filter_log_events, logGroupName=group, filterPattern=pattern)
            for pattern in ("{ $.a = }", "a.b", "%x%", "[a, b]")
        ]

        assert [
            ("InvalidParameterException", text)
            for text in (
                "Invalid filter pattern",
                "Invalid filter pattern",
                "Farspan does not have regular expressions yet.",
                "Farspan does not have patterns of space-delimited fields yet.",
            )
        ] == refused


class TestTargets:
    """Rules log what they match."""

    @pytest.fixture
    def rule(self, events: BaseClient, bus: str) -> Callable[..., None]:
        """Return what makes a group the target of a rule on the bus."""

        def rule(arn: str, **target: Any) -> None:
            events.put_rule(Name="log", EventBusName=bus, EventPattern=EVERYTHING)
            given = {"Id": "l", "Arn": arn, **target}
            events.put_targets(Rule="log", EventBusName=bus, Targets=[given])

        return rule

    def put(self, events: BaseClient, bus: str, detail: str = "{}", count: int = 1) -> list[str]:
        """Put events and return their ids."""
        entry = {"Source": "s", "DetailType": "paid", "Detail": detail, "EventBusName": bus}
        return [each["EventId"] for each in events.put_events(Entries=[entry] * count)["Entries"]]

    @pytest.mark.parametrize("ending", ["", ":*"])
    def test_events_are_logged_whole(
        self,
        logs: BaseClient,
        events: BaseClient,
        group: str,
        bus: str,
        rule: Callable[..., None],
        eventually: Eventually,
        ending: str,
    ) -> None:
        """At their own time, once, in one stream."""
        rule(f"{arn_of(group)}{ending}")
        ids = self.put(events, bus, count=10) + self.put(events, bus, count=10)
        found: list[dict[str, Any]] = eventually(
            lambda: len(got := logs.filter_log_events(logGroupName=group)["events"]) == 20 and got
        )
        logged = [json.loads(event["message"]) for event in found]

        assert sorted(ids) == sorted(event["id"] for event in logged)
        assert 1 == len({event["logStreamName"] for event in found})
        assert all(event["timestamp"] % 1_000 == 0 for event in found)

    def test_a_transformer_says_what_is_logged(
        self,
        logs: BaseClient,
        events: BaseClient,
        group: str,
        bus: str,
        rule: Callable[..., None],
        eventually: Eventually,
    ) -> None:
        """A template with a timestamp and a message."""
        rule(
            arn_of(group),
            InputTransformer={
                "InputPathsMap": {"t": "$.detail.at", "n": "$.detail.n"},
                "InputTemplate": '{"timestamp": <t>, "message": "n is <n>"}',
            },
        )
        at = now_ms() - 5_000
        self.put(events, bus, json.dumps({"at": at, "n": 7}))
        (found,) = eventually(lambda: logs.filter_log_events(logGroupName=group)["events"])

        assert (at, "n is 7") == (found["timestamp"], found["message"])

    @pytest.mark.parametrize(
        ("missing", "target", "expected"),
        [
            (False, {"Input": '{"a": 1}'}, ("INVALID_JSON", "Invalid input for target.")),
            (True, {}, ("NO_RESOURCE", "The specified log group does not exist.")),
        ],
        ids=["no-message", "no-group"],
    )
    def test_what_cannot_be_logged_is_a_dead_letter(
        self,
        events: BaseClient,
        group: str,
        bus: str,
        queue: QueueOf,
        rule: Callable[..., None],
        missing: bool,
        target: dict[str, Any],
        expected: tuple[str, str],
    ) -> None:
        """An input without a message, and a group that is not there, are final."""
        arn = arn_of(f"no{group}" if missing else group)
        rule(arn, DeadLetterConfig={"Arn": queue.arn}, **target)
        self.put(events, bus)
        (letter,) = queue.receive(1)
        attributes = letter["MessageAttributes"]

        assert expected == (
            attributes["ERROR_CODE"]["StringValue"],
            attributes["ERROR_MESSAGE"]["StringValue"],
        )

    def test_the_group_has_to_be_ones_own(
        self, rule: Callable[..., None], name: str, refusal: Refusal
    ) -> None:
        """Another account's group is refused by PutTargets."""
        arn = arn_of(name, OTHER)

        assert (
            "ValidationException",
            f"Parameter {arn} is not valid. Reason: it must be a log group of account {OWN} "
            f"in Region {EAST}.",
        ) == refusal(rule, arn=arn)


def test_half_a_surrogate_pair_is_kept_readable(
    logs: BaseClient,
    stream: dict[str, str],
    deployment: Deployment,
    send: Send,
    signed_headers: SignedHeaders,
) -> None:
    """A message that has no UTF-8 form never is a fault of the server."""
    body = json.dumps(
        {**stream, "logEvents": [{"timestamp": now_ms(), "message": "a\ud800b"}]}
    ).encode()
    target = {
        "x-amz-target": "Logs_20140328.PutLogEvents",
        "content-type": "application/x-amz-json-1.1",
    }
    headers = signed_headers(deployment.url, headers=target, body=body, service="logs")
    reply = send(deployment.url, headers=headers, body=body)

    assert reply.status in {200, 400}
    assert len(messages(logs.get_log_events(**stream))) == (reply.status == 200)
