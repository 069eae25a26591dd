"""PutEvents without an endpoint: what is accepted, what fails alone, what fails whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
Refusal = Callable[..., tuple[str, str]]


def entry(**changes: object) -> dict[str, Any]:
    """Return a valid entry with changes; None takes a member away."""
    made = {"Source": "shop", "DetailType": "paid", "Detail": "{}"} | changes
    return {name: value for name, value in made.items() if value is not None}


def test_ids_are_in_the_order_of_the_entries(events: BaseClient) -> None:
    """Every entry gets an id of its own, UUID-shaped in lower case."""
    answer = events.put_events(Entries=[entry() for _ in range(10)])
    ids = [result["EventId"] for result in answer["Entries"]]

    assert 0 == answer["FailedEntryCount"]
    assert 10 == len(set(ids))
    shape = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    assert all(shape.fullmatch(each) for each in ids)


REQUIRED = {
    name: (
        "InvalidArgument",
        f"Parameter {name} is not valid. Reason: {name} is a required argument.",
    )
    for name in ("Source", "DetailType", "Detail")
}
MALFORMED = ("MalformedDetail", "Detail is malformed.")


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (entry(Source=None), REQUIRED["Source"]),
        (entry(Source=""), REQUIRED["Source"]),
        (entry(DetailType=None), REQUIRED["DetailType"]),
        (entry(DetailType=""), REQUIRED["DetailType"]),
        (entry(Detail=None), REQUIRED["Detail"]),
        (entry(Detail=""), REQUIRED["Detail"]),
        (entry(Detail="text"), MALFORMED),
        (entry(Detail='"text"'), MALFORMED),
        (entry(Detail="[]"), MALFORMED),
        (entry(Detail="null"), MALFORMED),
        (entry(Detail="1"), MALFORMED),
        (entry(Detail='{"a":1'), MALFORMED),
        (entry(Detail='{"a":1}}'), MALFORMED),
        (entry(Detail='{"a":1} {}'), MALFORMED),
        (entry(Detail="{'a':1}"), MALFORMED),
        (entry(Detail='{"a":01}'), MALFORMED),
        (entry(Detail='{"a":NaN}'), MALFORMED),
        (entry(Detail='{"a":"\\x"}'), MALFORMED),
        (entry(Detail='{"a":"\n"}'), MALFORMED),
        (entry(Detail='{"a":"\\ud800"}'), MALFORMED),
        (entry(Detail='{"a":1,}'), MALFORMED),
        (entry(Detail='\ufeff{"a":1}'), MALFORMED),
        (entry(Detail='{"a":' * 20_000 + "1" + "}" * 20_000), MALFORMED),
        (
            entry(Source="aws.ec2"),
            ("NotAuthorizedForSourceException", "Not authorized for the source."),
        ),
        (
            entry(EventBusName=f"arn:aws:events:{WEST}:{ACCOUNT}:event-bus/default"),
            (
                "InvalidArgument",
                "Parameter EventBusName is not valid. Reason: "
                f"arn:aws:events:{WEST}:{ACCOUNT}:event-bus/default is not an event bus of "
                f"Region {EAST}.",
            ),
        ),
    ],
    ids=[
        "no-source",
        "empty-source",
        "no-detail-type",
        "empty-detail-type",
        "no-detail",
        "empty-detail",
        "detail-plain-text",
        "detail-string",
        "detail-list",
        "detail-null",
        "detail-number",
        "detail-cut-off",
        "detail-brace-too-many",
        "detail-two-objects",
        "detail-single-quotes",
        "detail-leading-zero",
        "detail-nan",
        "detail-bad-escape",
        "detail-raw-newline-in-string",
        "detail-lone-surrogate",
        "detail-trailing-comma",
        "detail-byte-order-mark",
        "detail-too-deep",
        "aws-source",
        "bus-of-another-region",
    ],
)
def test_one_bad_entry_fails_alone(
    events: BaseClient, bad: dict[str, Any], error: tuple[str, str]
) -> None:
    """The call is a success; the entry has code and message, its neighbours have ids."""
    answer = events.put_events(Entries=[entry(), bad, entry()])
    before, failed, after = answer["Entries"]

    assert 200 == answer["ResponseMetadata"]["HTTPStatusCode"]
    assert 1 == answer["FailedEntryCount"]
    assert error == (failed["ErrorCode"], failed["ErrorMessage"])
    assert "EventId" not in failed
    assert {"EventId"} == set(before) == set(after)


def test_all_entries_may_fail(events: BaseClient) -> None:
    """Entries that are all invalid are an answer, not an exception."""
    answer = events.put_events(Entries=[entry(Source=None, DetailType=None, Detail=None)] * 2)

    assert 2 == answer["FailedEntryCount"]
    assert [REQUIRED["Source"]] * 2 == [
        (result["ErrorCode"], result["ErrorMessage"]) for result in answer["Entries"]
    ]


@pytest.mark.parametrize(
    "bus_name",
    ["nowhere", f"arn:aws:events:{EAST}:{ACCOUNT}:event-bus/nowhere"],
    ids=["name", "arn"],
)
def test_a_bus_that_does_not_exist_is_accepted(events: BaseClient, bus_name: str) -> None:
    """The entry gets an id, and the event is dropped."""
    answer = events.put_events(Entries=[entry(EventBusName=bus_name)])

    assert 0 == answer["FailedEntryCount"]
    assert {"EventId"} == set(answer["Entries"][0])


ENTRY_OF_ELEVEN = (
    "PutEventsRequestEntry(time=null, source=shop, resources=null, detailType=paid, detail={}, "
    "eventBusName=null, traceHeader=null, kmsKeyIdentifier=null, internalMetadata=null)"
)
BUS_PATTERN = r"(arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus\/)?[\.\-_A-Za-z0-9]+"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        (
            [entry()] * 11,
            f"1 validation error detected: Value '[{', '.join([ENTRY_OF_ELEVEN] * 11)}]' at "
            "'entries' failed to satisfy constraint: "
            "Member must have length less than or equal to 10",
        ),
        (
            [entry(), entry(EventBusName="two words")],
            "1 validation error detected: Value 'two words' at 'entries.2.member.eventBusName' "
            "failed to satisfy constraint: Member must satisfy regular expression pattern: "
            + BUS_PATTERN,
        ),
        (
            [entry(Resources=["r", "r" * 2_049])],
            f"1 validation error detected: Value '{'r' * 2_049}' at "
            "'entries.1.member.resources.2.member' failed to satisfy constraint: "
            "Member must have length less than or equal to 2048",
        ),
        (
            [entry(TraceHeader="t" * 501), entry(EventBusName="b" * 1_601)],
            f"2 validation errors detected: Value '{'t' * 501}' at 'entries.1.member.traceHeader' "
            "failed to satisfy constraint: Member must have length less than or equal to 500; "
            f"Value '{'b' * 1_601}' at 'entries.2.member.eventBusName' failed to satisfy "
            "constraint: Member must have length less than or equal to 1600",
        ),
    ],
    ids=["eleven", "bus-name", "resource-too-long", "trace-header-and-bus-name"],
)
def test_a_constraint_of_the_model_fails_the_call(
    events: BaseClient, refusal: Refusal, entries: list[dict[str, Any]], message: str
) -> None:
    """Nothing of the request is taken, and every violation is named."""
    assert ("ValidationException", message) == refusal(events.put_events, Entries=entries)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"Entries": []},
            "1 validation error detected: Value '[]' at 'entries' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
        ),
        (
            {},
            "1 validation error detected: Value null at 'entries' failed to satisfy constraint: "
            "Member must not be null",
        ),
    ],
    ids=["empty", "missing"],
)
def test_no_entries_at_all(
    unchecked: Callable[..., BaseClient], refusal: Refusal, params: dict[str, Any], message: str
) -> None:
    """A request needs an entry."""
    assert ("ValidationException", message) == refusal(unchecked("events").put_events, **params)


def sized(byte_count: int) -> dict[str, Any]:
    """Return an entry that counts exactly so many bytes."""
    fixed = len("shop") + len("paid") + len('{"a":""}')
    return entry(Detail=f'{{"a":"{"x" * (byte_count - fixed)}"}}')


@pytest.mark.parametrize(
    ("entries", "fits"),
    [
        ([sized(1_048_575)], True),
        ([sized(1_048_576)], False),
        ([sized(524_288), sized(524_287)], True),
        ([sized(524_288), sized(524_288)], False),
        ([sized(1_048_575) | {"EventBusName": "a-long-name-of-a-bus"}], True),
        ([sized(1_048_575) | {"Time": 1_700_000_000}], False),
        ([sized(1_048_575 - 14) | {"Time": 1_700_000_000}], True),
        ([sized(1_048_575 - 3) | {"Resources": ["abc"]}], True),
        ([sized(1_048_575 - 2) | {"Resources": ["abc"]}], False),
        ([entry(Detail=f'{{"a":"{"ü" * 524_288}"}}')], False),
    ],
    ids=[
        "just-below",
        "one-megabyte",
        "two-just-below",
        "two-of-a-half",
        "bus-name-does-not-count",
        "time-counts",
        "time-counts-14",
        "resources-fit",
        "resources-count",
        "bytes-not-characters",
    ],
)
def test_the_size_of_all_entries_together(
    events: BaseClient, refusal: Refusal, entries: list[dict[str, Any]], fits: bool
) -> None:
    """A request stays below 1,048,576 bytes, or fails whole."""
    if fits:
        assert 0 == events.put_events(Entries=entries)["FailedEntryCount"]
    else:
        assert (
            "ValidationException",
            "Total size of the entries in the request is over the limit.",
        ) == refusal(events.put_events, Entries=entries)


def test_a_bus_of_another_account_rejects_the_whole_request(
    events: BaseClient, refusal: Refusal
) -> None:
    """One entry that is not allowed denies all of them."""
    foreign = f"arn:aws:events:{EAST}:111111111111:event-bus/default"

    assert (
        "AccessDeniedException",
        f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: events:PutEvents on "
        f"resource: {foreign} because no resource-based policy allows the events:PutEvents action",
    ) == refusal(events.put_events, Entries=[entry(), entry(EventBusName=foreign)])
