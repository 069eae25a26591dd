"""AWS JSON: what is taken, what is refused and in which words, and what is written."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan import errors
from farspan.wire import json_codec, spec, validate

EVENTS, SQS = spec.service("events"), spec.service("sqs")
OPERATIONS = [
    EVENTS.operations["PutEvents"],
    EVENTS.operations["PutTargets"],
    EVENTS.operations["CreateEndpoint"],
    EVENTS.operations["StartReplay"],
    SQS.operations["SendMessage"],
    SQS.operations["SendMessageBatch"],
    SQS.operations["CreateQueue"],
]


def decode(operation: str, document: Any) -> dict[str, Any]:
    """Decode a document as the body of an operation of either JSON service."""
    service = EVENTS if operation in EVENTS.operations else SQS
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return json_codec.decode_input(service.operations[operation], body)


# --- decoding --------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"{}", b' { "Unknown" : [1] } ', b'{"NextToken":null}'])
def test_nothing_known_is_no_parameters(body: bytes) -> None:
    """An empty body, unknown members and nulls are all as if nothing had been sent."""
    assert decode("ListEventBuses", body) == {}


def test_an_operation_without_input_takes_none() -> None:
    """Whatever object is sent to an operation without parameters, it gets none."""
    operation = spec.Operation(
        service="events",
        name="Nothing",
        input_shape=None,
        output_shape=None,
        http_method="POST",
        http_uri="/",
        http_status=200,
        error_codes=frozenset(),
    )

    assert json_codec.decode_input(operation, b'{"a":1}') == {}


@pytest.mark.parametrize(
    ("number", "seconds"),
    [
        ("1790230488", 1790230488.0),
        ("1790230488.123", 1790230488.123),
        ("1.790230488E9", 1790230488.0),
        ("-62135596800", -62135596800.0),
        ("253402300799", 253402300799.0),
    ],
)
def test_timestamps_become_float_seconds(number: str, seconds: float) -> None:
    """Epoch seconds may come whole, with a fraction, or in scientific notation."""
    decoded = decode("PutEvents", b'{"Entries":[{"Time":' + number.encode() + b"}]}")

    assert decoded == {"Entries": [{"Time": seconds}]}
    assert isinstance(decoded["Entries"][0]["Time"], float)


def test_blobs_become_bytes() -> None:
    """Binary members come as Base64."""
    sent = {"MessageAttributes": {"a": {"BinaryValue": base64.b64encode(b"\x00\xff").decode()}}}

    assert decode("SendMessage", sent) == {"MessageAttributes": {"a": {"BinaryValue": b"\x00\xff"}}}


def test_a_whole_number_with_a_point_is_an_integer() -> None:
    """Some JSON writers put a point into every number."""
    assert decode("ListRules", b'{"Limit":10.0}') == {"Limit": 10}


def test_a_null_in_a_list_or_map_stays() -> None:
    """Dropping it would move its neighbours; validation names it."""
    assert decode("RemoveTargets", {"Ids": ["a", None]}) == {"Ids": ["a", None]}
    assert decode("CreateQueue", {"tags": {"k": None}}) == {"tags": {"k": None}}


def test_the_last_of_repeated_members_wins() -> None:
    """As in every JSON parser that AWS uses."""
    assert decode("PutRule", b'{"Name":"a","Name":"b"}') == {"Name": "b"}


@pytest.mark.parametrize(
    ("operation", "document", "message"),
    [
        (
            "ListRules",
            {"Limit": "ten"},
            "STRING_VALUE can not be converted to an Integer (at 'limit')",
        ),
        (
            "ListRules",
            {"Limit": 1.5},
            "NUMBER_VALUE can not be converted to an Integer (at 'limit')",
        ),
        (
            "ListRules",
            {"Limit": True},
            "TRUE_VALUE can not be converted to an Integer (at 'limit')",
        ),
        (
            "ListRules",
            {"Limit": 1 << 31},
            "NUMBER_VALUE is out of the range of an Integer (at 'limit')",
        ),
        ("PutRule", {"Name": 1}, "NUMBER_VALUE can not be converted to a String (at 'name')"),
        ("PutRule", {"Name": False}, "FALSE_VALUE can not be converted to a String (at 'name')"),
        ("PutRule", {"Name": {}}, "Start of structure or map found where not expected (at 'name')"),
        ("PutRule", {"Name": []}, "Start of list found where not expected (at 'name')"),
        ("DeleteRule", {"Force": "true"}, "STRING_VALUE can not be converted to a Boolean"),
        ("PutEvents", {"Entries": {}}, "Expected a list or null, got START_OBJECT (at 'entries')"),
        (
            "PutEvents",
            {"Entries": [[]]},
            "Expected a structure or null, got START_ARRAY (at 'entries.1.member')",
        ),
        (
            "PutEvents",
            {"Entries": [{}, {"Detail": 7}]},
            "NUMBER_VALUE can not be converted to a String (at 'entries.2.member.detail')",
        ),
        (
            "PutEvents",
            {"Entries": [{"Time": "2026-11-23T12:00:00Z"}]},
            "to milliseconds since epoch (at 'entries.1.member.time')",
        ),
        ("PutEvents", {"Entries": [{"Time": 1e300}]}, "out of the range of a timestamp"),
        ("PutEvents", {"Entries": [{"Time": -62135596801}]}, "out of the range of a timestamp"),
        ("PutEvents", {"Entries": [{"Time": 10**400}]}, "out of the range of a Double"),
        ("CreateQueue", {"Attributes": ["a"]}, "Expected a map or null, got START_ARRAY"),
        ("CreateQueue", {"Attributes": {"a": 1}}, "(at 'attributes.a.value')"),
        (
            "SendMessage",
            {"MessageAttributes": {"a": {"BinaryValue": "="}}},
            "STRING_VALUE is not valid Base64 (at 'messageAttributes.a.value.binaryValue')",
        ),
        ("SendMessage", {"MessageAttributes": {"a": {"BinaryValue": 1}}}, "to a Blob"),
    ],
)
def test_a_member_of_the_wrong_type_is_named(operation: str, document: Any, message: str) -> None:
    """The message says what came, what should have, and where."""
    with pytest.raises(errors.SerializationException) as caught:
        decode(operation, document)

    assert message in caught.value.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "not valid JSON"),
        (b"\xff", "not valid JSON"),
        (b'{"Name":"\xff"}', "not valid JSON"),
        (b'{"Name":"\\ud800"}', "not valid JSON"),
        (b'{"Limit":NaN}', "not valid JSON"),
        (b'{"Limit":Infinity}', "not valid JSON"),
        (b'{"Limit":1e400}', "not valid JSON"),
        (b"{} {}", "not valid JSON"),
        (b"\xef\xbb\xbf{}", "not valid JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'"a"', "not a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: bytes, message: str) -> None:
    """One clear sentence says why, and nothing crashes on the way."""
    with pytest.raises(errors.SerializationException, match=message):
        json_codec.decode_input(EVENTS.operations["PutEvents"], body)


def test_a_floating_point_member_takes_integers() -> None:
    """No JSON operation of ours has a double yet; the decoder does what the protocol says."""
    double = spec.Shape(name="D", type="double", members={})
    member = spec.Member(name="D", shape=double)
    operation = spec.Operation(
        service="events",
        name="Numbers",
        input_shape=spec.Shape(name="I", type="structure", members={"D": member}),
        output_shape=None,
        http_method="POST",
        http_uri="/",
        http_status=200,
        error_codes=frozenset(),
    )

    assert json_codec.decode_input(operation, b'{"D":1}') == {"D": 1.0}
    with pytest.raises(errors.SerializationException, match="converted to a Double"):
        json_codec.decode_input(operation, b'{"D":"1"}')


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("Entries", "Time", "Source", "Resources", "Detail", "Targets", "Id", "Arn"),
                    *("InputTransformer", "InputPathsMap", "RoutingConfig", "FailoverConfig"),
                    *("Primary", "EventBuses", "EventStartTime", "Destination", "MessageBody"),
                    *("MessageAttributes", "DelaySeconds", "Attributes", "tags", "QueueUrl"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
@given(document=JSON_VALUES)
@settings(max_examples=60, deadline=None)
def test_any_json_gives_parameters_or_an_aws_error(
    operation: spec.Operation, document: object
) -> None:
    """Whatever the document, decoding and validation raise nothing but AwsError."""
    try:
        validate.check(operation, json_codec.decode_input(operation, json.dumps(document).encode()))
    except errors.AwsError as error:
        assert error.message  # noqa: PT017 (both outcomes are right)


@given(body=st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_parameters_or_an_aws_error(body: bytes) -> None:
    """Whatever the bytes, decoding raises nothing but SerializationException."""
    try:
        decoded = json_codec.decode_input(EVENTS.operations["PutEvents"], body)
    except errors.SerializationException as error:
        assert error.message  # noqa: PT017 (both outcomes are right)
    else:
        assert isinstance(decoded, dict)


# --- encoding --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(1790230488.123, b"1790230488.123"), (1790230488.0, b"1790230488"), (7, b"7")],
)
def test_timestamps_are_written_with_the_fraction_they_have(seconds: float, written: bytes) -> None:
    """Milliseconds where there are some, whole seconds otherwise."""
    body = json_codec.encode_output(
        EVENTS.operations["DescribeEventBus"], {"CreationTime": seconds}
    )

    assert b'{"CreationTime":' + written + b"}" == body


def test_members_that_are_none_are_left_out() -> None:
    """Absent and null are the same to an SDK; AWS sends neither."""
    result = {"Rules": [{"Name": "r", "RoleArn": None}], "NextToken": None}

    assert json_codec.encode_output(EVENTS.operations["ListRules"], result) == (
        b'{"Rules":[{"Name":"r"}]}'
    )


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ("PutRule", {"RuleARN": "typo"}),
        ("ListRules", {"Rules": [{"name": "typo"}]}),
        ("DeleteRule", {"Anything": 1}),
    ],
)
def test_a_member_that_the_model_lacks_is_a_key_error(
    operation: str, result: dict[str, Any]
) -> None:
    """A typo in a result is found by the first test that sees it."""
    with pytest.raises(KeyError):
        json_codec.encode_output(EVENTS.operations[operation], result)


def test_no_output_is_an_empty_object() -> None:
    """Operations without output answer `{}`, which every SDK parses."""
    assert json_codec.encode_output(EVENTS.operations["DeleteRule"], {}) == b"{}"


def test_a_response_has_the_protocols_headers() -> None:
    """The request id and the content type with the service's JSON version."""
    response = json_codec.encode_response(SQS, SQS.operations["PurgeQueue"], {}, "req-1")

    assert response.status == 200
    assert dict(response.headers) == {
        "x-amzn-RequestId": "req-1",
        "Content-Type": "application/x-amz-json-1.0",
    }


# --- errors ----------------------------------------------------------------------------------


def test_an_events_error_is_a_type_and_a_message() -> None:
    """EventBridge's errors are 400 with the bare code."""
    error = errors.ResourceNotFoundException("Event bus x does not exist.")

    response = json_codec.encode_error(EVENTS, error, "req-1")

    assert response.status == 400
    assert json.loads(response.body) == {
        "__type": "ResourceNotFoundException",
        "message": "Event bus x does not exist.",
    }
    assert dict(response.headers) == {
        "x-amzn-RequestId": "req-1",
        "Content-Type": "application/x-amz-json-1.1",
    }


@pytest.mark.parametrize(
    ("error", "code", "query_error"),
    [
        (
            errors.QueueDoesNotExist("m"),
            "com.amazonaws.sqs#QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue;Sender",
        ),
        (
            errors.InvalidParameterValueException("m"),
            "InvalidParameterValue",
            "InvalidParameterValue;Sender",
        ),
        (errors.InternalException("m"), "InternalException", "InternalException;Receiver"),
    ],
)
def test_an_sqs_error_has_its_former_code_in_a_header(
    error: errors.AwsError, code: str, query_error: str
) -> None:
    """SDKs that know SQS's former protocol find code and fault in `x-amzn-query-error`."""
    response = json_codec.encode_error(SQS, error, "req-1")

    assert code == json.loads(response.body)["__type"]
    assert query_error == dict(response.headers)["x-amzn-query-error"]
    assert error.status == response.status
