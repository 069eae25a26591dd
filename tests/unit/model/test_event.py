"""Events: ids that an SDK's retry gives again, and replicas' marks."""

from __future__ import annotations

import re

import pytest

from farspan.model.event import (
    CALL_ID_BYTES,
    CallId,
    call_id_of,
    event_bus_key,
    event_id_of,
    with_resource,
)

HEAD = b'{"version":"0","id":"x","detail-type":"a","source":"b","resources":['
TAIL = b'],"detail":{"resources":["x"],"t":",\\"resources\\":["}}'


def test_the_same_call_has_the_same_id() -> None:
    """A retry brings the same key, invocation and body, and so the same id of 14 bytes."""
    first, again = (call_id_of("AKIA", "invocation", b"sha") for _ in range(2))

    assert first == again
    assert len(first) == CALL_ID_BYTES


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(("AKIB", "invocation", b"sha"), id="another key"),
        pytest.param(("AKIA", "invocatioN", b"sha"), id="another invocation"),
        pytest.param(("AKIA", "invocation", b"shb"), id="another body"),
        pytest.param(("AKIAi", "nvocation", b"sha"), id="another border between the two"),
    ],
)
def test_another_call_has_another_id(other: tuple[str, str, bytes]) -> None:
    """Whatever differs between two calls makes their ids differ."""
    assert call_id_of("AKIA", "invocation", b"sha") != call_id_of(*other)


def test_event_ids_are_the_call_and_the_entry() -> None:
    """An event's id has the form of a UUID and ends with the entry's number in hexadecimal."""
    call = CallId(bytes(range(14)))

    ids = [event_id_of(call, index) for index in range(10)]

    assert ids[9] == "00010203-0405-0607-0809-0a0b0c0d0009"
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) for text in ids)
    assert len(set(ids)) == 10


@pytest.mark.parametrize(
    ("former", "marked"),
    [(b"", b'"arn:e"'), (b'"arn:a","arn:b"', b'"arn:e","arn:a","arn:b"')],
    ids=["none", "some"],
)
def test_a_replica_is_marked_in_its_resources(former: bytes, marked: bytes) -> None:
    """The endpoint's ARN comes first in the envelope's resources; every other byte stays."""
    assert with_resource(HEAD + former + TAIL, "arn:e") == HEAD + marked + TAIL


def test_a_detail_type_cannot_pose_as_resources() -> None:
    """A text that spells the member has its quotes escaped, and is passed over."""
    envelope = HEAD.replace(b'"a"', b'"a\\",\\"resources\\":["') + TAIL

    assert with_resource(envelope, "arn:e") == envelope.replace(
        b'"source":"b","resources":[', b'"source":"b","resources":["arn:e"'
    )


def test_a_bus_is_known_by_account_and_name() -> None:
    """The key of a log is the account and the name of its bus."""
    assert event_bus_key("1", "orders") == "1/orders"
