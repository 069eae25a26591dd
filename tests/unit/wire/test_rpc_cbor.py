"""CBOR as Smithy's RPC writes it: every form that a client may choose, and garbage."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from botocore.parsers import create_parser
from botocore.session import Session
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.errors import AwsError, ResourceNotFound, SerializationException, ValidationException
from farspan.wire import rpc_cbor, spec

MODEL = Session().get_service_model("cloudwatch")
CLOUDWATCH = spec.service("cloudwatch")
PUT = CLOUDWATCH.operations["PutMetricData"]
LIST = CLOUDWATCH.operations["ListMetrics"]


def text(value: str) -> bytes:
    """Return a short text as CBOR."""
    return bytes([0x60 | len(value)]) + value.encode()


def datum(name: str, item: bytes) -> bytes:
    """Return the body of PutMetricData with one member of one datum."""
    return b"\xa1" + text("MetricData") + b"\x81\xa1" + text(name) + item


@pytest.mark.parametrize(
    ("name", "item", "expected"),
    [
        ("Value", b"\xf9\x3e\x00", 1.5),  # half
        ("Value", b"\xfa\x3f\xc0\x00\x00", 1.5),  # single
        ("Value", b"\xfb" + struct.pack(">d", 1.5), 1.5),
        ("Value", b"\x17", 23.0),
        ("Value", b"\x18\xff", 255.0),
        ("Value", b"\x20", -1.0),
        ("Value", b"\x39\x01\x00", -257.0),
        ("StorageResolution", b"\x1a\x00\x00\x00\x01", 1),
        ("StorageResolution", b"\x1b" + bytes(7) + b"\x01", 1),
        ("StorageResolution", b"\xf9\x3c\x00", 1),
        ("Timestamp", b"\xc1\x1a\x65\x53\xf1\x00", 0x6553F100),
        ("Timestamp", b"\xc1\xfb" + struct.pack(">d", 5.25), 5.25),
        ("MetricName", b"\x7f\x61a\x61b\xff", "ab"),  # in pieces
        ("Values", b"\x9f\x01\x02\xff", [1.0, 2.0]),  # of unknown length
        ("StatisticValues", b"\xbf\x63Sum\x01\xff", {"Sum": 1.0}),
    ],
)
def test_every_form_of_a_value_is_read(name: str, item: bytes, expected: object) -> None:
    """Numbers of every width, times, and lengths that are not known beforehand."""
    found = rpc_cbor.decode_input(PUT, datum(name, item))

    assert {"MetricData": [{name: expected}]} == found


@pytest.mark.parametrize("item", [b"\xf6", b"\xf7"], ids=["null", "undefined"])
def test_nothing_is_left_out(item: bytes) -> None:
    """A member that is null was not given."""
    assert {"MetricData": [{}]} == rpc_cbor.decode_input(PUT, datum("Value", item))


def test_no_body_has_no_parameters() -> None:
    """As an empty map."""
    assert {} == rpc_cbor.decode_input(LIST, b"") == rpc_cbor.decode_input(LIST, b"\xa0")


@pytest.mark.parametrize(
    "body",
    [
        b"\xa1",  # ends within
        b"\xa0\x00",  # goes on
        b"\x80",  # no map
        b"\xa1\x01\x01",  # a key that is no text
        b"\xbf",  # without an end
        b"\x9b" + b"\xff" * 8,  # longer than anything
        b"\x81" * 100,  # too deep
        b"\xc1" * 100,
        b"\x7f\x01\xff",  # a piece of another kind
        b"\x61\xff",  # no UTF-8
        b"\x1c",  # reserved
        b"\xfc",
        b"\xff",
        datum("Timestamp", b"\xc1\x61a"),
        datum("Timestamp", b"\xc1\xfb" + struct.pack(">d", math.nan)),
        datum("MetricName", b"\x01"),
        datum("MetricName", b"\x41a"),  # bytes
    ],
)
def test_what_cannot_be_read_is_told(body: bytes) -> None:
    """As a SerializationException, whatever is wrong."""
    with pytest.raises(SerializationException):
        rpc_cbor.decode_input(PUT, body)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_garbage_is_refused_or_read(body: bytes) -> None:
    """Nothing but an AwsError comes of any bytes."""
    try:
        found = rpc_cbor.decode_input(PUT, body)
    except AwsError:
        return

    assert isinstance(found, dict)


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
RESULTS = st.fixed_dictionaries(
    {
        "Label": st.text(max_size=70_000),
        "Datapoints": st.lists(
            st.fixed_dictionaries(
                {"Sum": FLOATS, "ExtendedStatistics": st.dictionaries(st.text(max_size=9), FLOATS)}
            ),
            max_size=40,
        ),
    }
)


@settings(deadline=None, max_examples=40)
@given(RESULTS)
def test_what_is_written_is_read_by_botocore(result: dict[str, Any]) -> None:
    """An independent reader has the same values, of every length."""
    operation = CLOUDWATCH.operations["GetMetricStatistics"]
    response = rpc_cbor.encode_response(operation, result, "r")
    shape = MODEL.operation_model(operation.name).output_shape
    parsed = create_parser("smithy-rpc-v2-cbor").parse(
        {"status_code": 200, "headers": dict(response.headers), "body": response.body}, shape
    )
    del parsed["ResponseMetadata"]

    assert result == parsed


def test_an_operation_without_output_has_no_body() -> None:
    """And no type of it, but says its protocol."""
    response = rpc_cbor.encode_response(PUT, {}, "r")

    assert b"" == response.body
    assert {"x-amzn-RequestId": "r", "smithy-protocol": "rpc-v2-cbor"} == dict(response.headers)


@pytest.mark.parametrize(
    ("error", "kind", "query_code"),
    [
        (ResourceNotFound("gone"), "com.amazonaws.cloudwatch#ResourceNotFound", "ResourceNotFound"),
        (
            ValidationException("gone"),
            "com.amazonaws.cloudwatch#ValidationException",
            "ValidationError",
        ),
    ],
)
def test_an_error_has_both_of_its_names(error: AwsError, kind: str, query_code: str) -> None:
    """The shape's in the body, the query protocol's in a header."""
    response = rpc_cbor.encode_error(CLOUDWATCH, error, "r")

    assert kind.encode() in response.body
    assert b"\x67message\x64gone" in response.body
    assert f"{query_code};Sender" == dict(response.headers)["x-amzn-query-error"]
