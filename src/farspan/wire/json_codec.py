"""AWS JSON 1.0 and 1.1: request bytes to parameters, results and errors to bytes.

Driven by the model's shapes. Whatever the bytes, decoding gives parameters or an `AwsError`,
never another exception; constraints of the model (lengths, patterns) are `validate`'s affair.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

import msgspec

from farspan.errors import AwsError, SerializationException
from farspan.wire.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from farspan.wire.spec import Operation, Service, Shape

# The years 1 and 9999: beyond them nothing downstream can write the time as a date.
TIMESTAMP_SECONDS_MIN: Final = -62_135_596_800
TIMESTAMP_SECONDS_MAX: Final = 253_402_300_799
NAME_CHARACTERS_MAX: Final = 128  # of a caller's own key, where a message names it

QUERY_COMPATIBLE: Final = frozenset({"cloudwatch", "sqs"})
"""Services that spoke the query protocol before, and still name its error codes."""

_INTEGER_BITS: Final = {"integer": 31, "long": 63}
_decode_json: Final = msgspec.json.Decoder().decode
_encode_json: Final = msgspec.json.Encoder().encode


class _Mismatch(Exception):
    """A value is not of its shape's type; `path` grows from the inside out."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path: list[str] = []


def lower_first(name: str) -> str:
    """Return the member name as AWS writes it in messages: `EventBusName` as `eventBusName`."""
    return name[:1].lower() + name[1:]


# --- decoding --------------------------------------------------------------------------------


def decode_input(operation: Operation, body: bytes) -> dict[str, Any]:
    """Return the operation's parameters, under the model's member names.

    Unknown members and nulls are left out; timestamps become float epoch seconds, blobs bytes.
    An empty body is an empty object. Raises SerializationException for anything that is not a
    JSON object, or whose members are not of the model's types.
    """
    if not body:
        return {}
    try:
        document = _decode_json(body)
    except RecursionError:
        raise SerializationException("The request body is JSON nested too deeply.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SerializationException(f"The request body is not valid JSON: {error}.") from None
    return parameters_in(operation, document)


def parameters_in(operation: Operation, document: object) -> dict[str, Any]:
    """Return the operation's parameters of what a body holds. Raises as `decode_input`."""
    if type(document) is not dict:
        raise SerializationException("The request body is not a JSON object.")
    if operation.input_shape is None:
        return {}
    try:
        return _structure(operation.input_shape, document)
    except _Mismatch as mismatch:
        path = ".".join(reversed(mismatch.path))
        raise SerializationException(f"{mismatch.reason} (at '{path}')") from None


def _structure(shape: Shape, value: object) -> dict[str, Any]:
    if type(value) is not dict:
        raise _Mismatch(f"Expected a structure or null, got {_kind(value)}")
    members = shape.members
    result: dict[str, Any] = {}
    for name, entry in value.items():
        member = members.get(name)
        if member is None or entry is None:
            continue
        kind = member.shape.type
        if kind == "string" and type(entry) is str:  # by far the commonest: spare it the call
            result[name] = entry
            continue
        try:
            result[name] = _DECODERS[kind](member.shape, entry)
        except _Mismatch as mismatch:
            mismatch.path.append(lower_first(name))
            raise
    return result


def _list(shape: Shape, value: object) -> list[Any]:
    if type(value) is not list:
        raise _Mismatch(f"Expected a list or null, got {_kind(value)}")
    item = shape.item.shape
    decode = _DECODERS[item.type]
    result: list[Any] = []
    for index, entry in enumerate(value, 1):
        try:
            # A null stays, because dropping it would move its neighbours; `validate` refuses it.
            result.append(None if entry is None else decode(item, entry))
        except _Mismatch as mismatch:
            mismatch.path += ["member", str(index)]
            raise
    return result


def _map(shape: Shape, value: object) -> dict[str, Any]:
    if type(value) is not dict:
        raise _Mismatch(f"Expected a map or null, got {_kind(value)}")
    item = shape.value.shape
    decode = _DECODERS[item.type]
    result: dict[str, Any] = {}
    for key, entry in value.items():
        try:
            result[key] = None if entry is None else decode(item, entry)
        except _Mismatch as mismatch:
            mismatch.path += ["value", key[:NAME_CHARACTERS_MAX]]
            raise
    return result


def _string(_shape: Shape, value: object) -> str:
    if type(value) is not str:
        raise _Mismatch(_wrong_scalar(value, "a String"))
    return value


def _boolean(_shape: Shape, value: object) -> bool:
    if type(value) is not bool:
        raise _Mismatch(_wrong_scalar(value, "a Boolean"))
    return value


def _integer(shape: Shape, value: object) -> int:
    target = "an Integer" if shape.type == "integer" else "a Long"
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise _Mismatch(_wrong_scalar(value, target))
    limit = 1 << _INTEGER_BITS[shape.type]
    if not -limit <= value < limit:
        raise _Mismatch(f"NUMBER_VALUE is out of the range of {target}")
    return value


def _float(_shape: Shape, value: object) -> float:
    if type(value) is float:
        return value
    if type(value) is not int:
        raise _Mismatch(_wrong_scalar(value, "a Double"))
    try:
        return float(value)
    except OverflowError:
        raise _Mismatch("NUMBER_VALUE is out of the range of a Double") from None


def _timestamp(shape: Shape, value: object) -> float:
    if type(value) is not int and type(value) is not float:
        raise _Mismatch(_wrong_scalar(value, "milliseconds since epoch"))
    seconds = _float(shape, value)
    if not TIMESTAMP_SECONDS_MIN <= seconds <= TIMESTAMP_SECONDS_MAX:
        raise _Mismatch("NUMBER_VALUE is out of the range of a timestamp in seconds since epoch")
    return seconds


def _blob(_shape: Shape, value: object) -> bytes:
    if type(value) is not str:
        raise _Mismatch(_wrong_scalar(value, "a Blob"))
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _Mismatch("STRING_VALUE is not valid Base64") from None


_DECODERS: Final[Mapping[str, Callable[[Shape, object], Any]]] = {
    "structure": _structure,
    "list": _list,
    "map": _map,
    "string": _string,
    "boolean": _boolean,
    "integer": _integer,
    "long": _integer,
    "float": _float,
    "double": _float,
    "timestamp": _timestamp,
    "blob": _blob,
}


def _kind(value: object) -> str:
    """Name a JSON value's kind as AWS's own parser does."""
    if isinstance(value, bool):
        return "TRUE_VALUE" if value else "FALSE_VALUE"
    if isinstance(value, str):
        return "STRING_VALUE"
    if isinstance(value, int | float):
        return "NUMBER_VALUE"
    return "START_ARRAY" if isinstance(value, list) else "START_OBJECT"


def _wrong_scalar(value: object, target: str) -> str:
    if isinstance(value, dict):
        return "Start of structure or map found where not expected"
    if isinstance(value, list):
        return "Start of list found where not expected"
    return f"{_kind(value)} can not be converted to {target}"


# --- encoding --------------------------------------------------------------------------------


def encode_output(operation: Operation, result: Mapping[str, Any]) -> bytes:
    """Return the response body for `result`, whose keys are the model's member names.

    Members that are None are left out; timestamps are epoch seconds, written with the fraction
    they come with; blobs are Base64. Raises KeyError for a member that the model does not have,
    so that a typo is found. An operation without output gives `{}`.
    """
    if operation.output_shape is None:
        if result:
            raise KeyError(f"{operation.name} returns nothing, not {sorted(result)}")
        return b"{}"
    return _encode_json(_encodable(operation.output_shape, result))


def _encodable(shape: Shape, value: Any) -> Any:  # noqa: ANN401 (whatever the shape says)
    match shape.type:
        case "structure":
            members = shape.members
            return {
                members[name].name: _encodable(members[name].shape, entry)
                for name, entry in value.items()
                if entry is not None
            }
        case "list":
            return [_encodable(shape.item.shape, entry) for entry in value]
        case "map":
            return {key: _encodable(shape.value.shape, entry) for key, entry in value.items()}
        case "blob":
            return base64.b64encode(value).decode("ascii")
        case "timestamp":
            return int(value) if float(value).is_integer() else float(value)
        case _:
            return value


def encode_response(
    service: Service, operation: Operation, result: Mapping[str, Any], request_id: str
) -> Response:
    """Return the whole response: body, `x-amzn-RequestId` and the protocol's content type."""
    return Response(
        status=operation.http_status,
        headers=_headers(service, request_id),
        body=encode_output(operation, result),
    )


def encode_error(service: Service, error: AwsError, request_id: str) -> Response:
    """Return the error response: `__type`, `message`, and the query error's header where due."""
    code, query_error = error_names(service, error)
    body = _encode_json({"__type": code, "message": error.message})
    headers = (*_headers(service, request_id), *query_error)
    return Response(status=error.status, headers=headers, body=body)


def error_names(service: Service, error: AwsError) -> tuple[str, Sequence[tuple[str, str]]]:
    """Return an error's `__type`, and the header that names it as the query protocol does.

    SDKs written for the former protocol of SQS and CloudWatch read the code in that header; newer
    ones read `__type`, which these services prefix with their namespace.
    """
    code = error.code
    if service.name not in QUERY_COMPATIBLE:
        return code, ()
    shape = type(error).__name__ if type(error).__name__ in service.errors else code
    spec = service.errors.get(shape)
    query_code = code if spec is None else spec.query_code or spec.code
    fault = "Sender" if error.sender_fault else "Receiver"
    if spec is not None:
        code = f"com.amazonaws.{service.name}#{shape}"
    return code, (("x-amzn-query-error", f"{query_code};{fault}"),)


def _headers(service: Service, request_id: str) -> Sequence[tuple[str, str]]:
    return (
        ("x-amzn-RequestId", request_id),
        ("Content-Type", f"application/x-amz-json-{service.json_version}"),
    )
