"""AWS REST-XML, as Route 53 speaks it; and the XML that it shares with the query protocol.

XML from outside is read as plain elements and text: UTF-8 only, no document type, no entities,
nothing fetched. Whatever the bytes, decoding gives parameters or an `AwsError`. The model has no
maps, attributes or payload members in these protocols, so neither does this module.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote

from lxml import etree

from farspan.errors import AwsError, InvalidInput
from farspan.wire.http import Request, Response
from farspan.wire.json_codec import TIMESTAMP_SECONDS_MAX, TIMESTAMP_SECONDS_MIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from farspan.wire.spec import Member, Operation, Service, Shape

QUERY_FIELDS_MAX: Final = 1000

# What the JSON services call X, the older protocols call Y (AWS: "Common errors" of Route 53 and
# STS against those of EventBridge), with the status where that differs too.
XML_ERROR_CODES: Final[Mapping[str, tuple[str, int | None]]] = MappingProxyType(
    {
        "AccessDeniedException": ("AccessDenied", 403),
        "ExpiredTokenException": ("ExpiredToken", 403),
        "IncompleteSignatureException": ("IncompleteSignature", 400),
        "InternalException": ("InternalFailure", 500),
        "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
        "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
        "RequestEntityTooLargeException": ("RequestEntityTooLarge", None),
        "ServiceUnavailableException": ("ServiceUnavailable", None),
        "ThrottlingException": ("Throttling", 400),
        "UnknownOperationException": ("InvalidAction", 400),
        "UnrecognizedClientException": ("InvalidClientTokenId", 403),
        "ValidationException": ("ValidationError", 400),
    }
)

# STS models an error of this name for tokens of identity providers. A session token that expired is
# a common error in STS too.
_FOREIGN_TOKEN_ERROR: Final = "ExpiredTokenException"  # noqa: S105 - an error's name

_DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}")
_INTEGER_BITS: Final = {"integer": 31, "long": 63}
_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}  # XML Schema, 3.2.2
# Characters that XML 1.0 cannot carry at all, not even escaped (section 2.2).
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLACEHOLDER: Final = re.compile(r"\\\{(\w+)\\\+?\}")


# --- scalars, shared with the query protocol -------------------------------------------------


class ScalarError(Exception):
    """A text is not of its shape's type. Each codec turns it into its service's own error."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def parse_scalar(shape: Shape, text: str) -> Any:  # noqa: ANN401 (whatever the shape says)
    """Return the value that `text` stands for: a str, int, float, bool or bytes.

    Timestamps (ISO 8601) become float epoch seconds. Raises ScalarError with a reason.
    """
    if shape.type == "string":
        return text
    parse = _SCALARS.get(shape.type)
    if parse is None:
        raise ScalarError(f"a {shape.type} cannot be written as text")
    return parse(shape, text.strip())


def _parse_integer(shape: Shape, text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ScalarError("it is not an integer")
    value, limit = int(text), 1 << _INTEGER_BITS[shape.type]
    if not -limit <= value < limit:
        raise ScalarError(f"it is out of the range of an {shape.type}")
    return value


def _parse_double(_shape: Shape, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ScalarError("it is not a number") from None
    if not math.isfinite(value):
        raise ScalarError("it is not a finite number")
    return value


def _parse_boolean(_shape: Shape, text: str) -> bool:
    if text not in _BOOLEANS:
        raise ScalarError("it is neither true nor false")
    return _BOOLEANS[text]


def _parse_timestamp(_shape: Shape, text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except ValueError:
        raise ScalarError("it is not an ISO 8601 timestamp") from None
    seconds = moment.timestamp()
    if not TIMESTAMP_SECONDS_MIN <= seconds <= TIMESTAMP_SECONDS_MAX:
        raise ScalarError("it is out of the range of a timestamp")
    return seconds


def _parse_blob(_shape: Shape, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ScalarError("it is not valid Base64") from None


_SCALARS: Final[Mapping[str, Callable[[Shape, str], Any]]] = {
    "integer": _parse_integer,
    "long": _parse_integer,
    "float": _parse_double,
    "double": _parse_double,
    "boolean": _parse_boolean,
    "timestamp": _parse_timestamp,
    "blob": _parse_blob,
}


def _scalar_text(shape: Shape, value: Any) -> str:  # noqa: ANN401 (whatever the shape says)
    match shape.type:
        case "boolean":
            return "true" if value else "false"
        case "timestamp":
            moment = datetime.fromtimestamp(value, UTC)
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case "blob":
            return base64.b64encode(value).decode("ascii")
        case _:
            return str(value)


# --- routing ---------------------------------------------------------------------------------


def match(service: Service, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """Return the operation that lives at `method` and `path`, and the path's parameters, decoded.

    `path` is as sent, still percent-encoded, without the query. None if there is none.
    """
    for pattern, operation in _routes(service):
        if operation.http_method == method:
            found = pattern.fullmatch(path)
            if found is not None:
                return operation, {name: unquote(part) for name, part in found.groupdict().items()}
    return None


@cache
def _routes(service: Service) -> Sequence[tuple[re.Pattern[str], Operation]]:
    return tuple(
        (_route_pattern(operation.http_uri), operation) for operation in service.operations.values()
    )


def _route_pattern(http_uri: str) -> re.Pattern[str]:
    path = http_uri.partition("?")[0].rstrip("/")
    return re.compile(_PLACEHOLDER.sub(r"(?P<\1>[^/]+)", re.escape(path)) + "/?")


# --- decoding --------------------------------------------------------------------------------


def decode_input(
    operation: Operation, request: Request, path_parameters: Mapping[str, str]
) -> dict[str, Any]:
    """Return the operation's parameters from path, query, headers and body.

    Unknown elements are ignored, as AWS does. Raises InvalidInput when the body is not well-formed
    XML of the operation's root element, or a value is not of the model's type.
    """
    shape = operation.input_shape
    if shape is None:
        return {}
    parameters: dict[str, Any] = {}
    for member in shape.members.values():
        text = _located(member, request, path_parameters)
        if text is not None:
            parameters[member.name] = _scalar(member, text)
    if operation.input_name is not None and request.body:
        parameters |= _structure(shape, _parse(request.body, operation.input_name))
    return parameters


def _located(member: Member, request: Request, path_parameters: Mapping[str, str]) -> str | None:
    """Find the text of a member that lives outside the body; None if it does not, or is absent."""
    match member.location:
        case "uri":
            return path_parameters.get(member.wire_name)
        case "querystring":
            return _query_fields(request.query).get(member.wire_name)
        case "header":
            return request.headers.get(member.wire_name.lower())
        case _:
            return None


def _query_fields(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY_FIELDS_MAX))
    except ValueError:
        raise InvalidInput(f"The query has more than {QUERY_FIELDS_MAX} parameters.") from None


def _parse(body: bytes, root_name: str) -> etree._Element:
    root = _parse_untrusted(body)
    if _local_name(root) != root_name:
        raise InvalidInput(
            f"The request body's root element must be {root_name}, not {_local_name(root)[:64]}."
        )
    return root


def _parse_untrusted(body: bytes) -> etree._Element:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("The request body is not UTF-8.") from None
    # Looked for before parsing: entities of a document type would be expanded by then.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InvalidInput("The request body must not contain a document type declaration.")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        dtd_validation=False,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InvalidInput(f"The request body is not well-formed XML: {error}.") from None


def _local_name(element: etree._Element) -> str:
    """Return the name without its namespace, which AWS does not insist on."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _structure(shape: Shape, element: etree._Element) -> dict[str, Any]:
    by_name = {
        member.wire_name: member for member in shape.members.values() if member.location is None
    }
    result: dict[str, Any] = {}
    for child in element:
        member = by_name.get(_local_name(child))
        if member is not None:
            result[member.name] = _value(member, child)
    return result


def _value(member: Member, element: etree._Element) -> Any:  # noqa: ANN401 (see parse_scalar)
    shape = member.shape
    if shape.type == "structure":
        return _structure(shape, element)
    if shape.type == "list":
        item_name = shape.item.location_name or "member"
        return [_value(shape.item, item) for item in element if _local_name(item) == item_name]
    if len(element):
        raise InvalidInput(f"The element {member.wire_name} must hold text, not elements.")
    return _scalar(member, element.text or "")


def _scalar(member: Member, text: str) -> Any:  # noqa: ANN401 (see parse_scalar)
    try:
        return parse_scalar(member.shape, text)
    except ScalarError as error:
        raise InvalidInput(
            f"The value '{text[:64]}' of {member.wire_name} is not valid: {error.reason}."
        ) from None


# --- encoding --------------------------------------------------------------------------------


def encode_response(
    service: Service, operation: Operation, result: Mapping[str, Any], request_id: str
) -> Response:
    """Return the response: status, headers (`Location` among them) and XML body.

    Timestamps are epoch seconds and are written as ISO 8601 with milliseconds; members that are
    None are left out. Raises KeyError for a member that the model does not have.
    """
    shape, headers = operation.output_shape, [*xml_headers(request_id)]
    if shape is None:
        if result:
            raise KeyError(f"{operation.name} returns nothing, not {sorted(result)}")
        return Response(status=operation.http_status, headers=headers)
    root = xml_root(shape.name, service)
    for member in shape.members.values():
        value = result.get(member.name)
        if member.location == "header" and value is not None:
            headers.append((member.wire_name, _scalar_text(member.shape, value)))
    append_structure(root, shape, result)
    return Response(status=operation.http_status, headers=headers, body=to_bytes(root))


def xml_root(name: str, service: Service) -> etree._Element:
    """Return an empty document's root in the service's namespace."""
    namespace = service.xml_namespace
    assert namespace is not None, f"the model of {service.name} has no XML namespace"
    return etree.fromstring(f'<{name} xmlns="{namespace}"/>'.encode())


def append_structure(parent: etree._Element, shape: Shape, value: Mapping[str, Any]) -> None:
    """Append the members of `value` that belong in the body to `parent`, in the model's order.

    Raises KeyError for a member that the model does not have.
    """
    unknown = value.keys() - shape.members.keys()
    if unknown:
        raise KeyError(f"{shape.name} has no member {sorted(unknown)}")
    for member in shape.members.values():
        entry = value.get(member.name)
        if entry is not None and member.location is None:
            _append(parent, member.wire_name, member.shape, entry)


def _append(parent: etree._Element, tag: str, shape: Shape, value: Any) -> None:  # noqa: ANN401
    element = etree.SubElement(parent, tag)
    if shape.type == "structure":
        append_structure(element, shape, value)
    elif shape.type == "list":
        for entry in value:
            _append(element, shape.item.location_name or "member", shape.item.shape, entry)
    elif shape.type == "map":
        for key, entry in value.items():
            pair = etree.SubElement(element, "entry")
            _append(pair, shape.key.location_name or "key", shape.key.shape, key)
            _append(pair, shape.value.location_name or "value", shape.value.shape, entry)
    else:
        element.text = _carriable(_scalar_text(shape, value))


def _carriable(text: str) -> str:
    """Replace what XML cannot carry, so that no stored value makes a resource unreadable."""
    return _NOT_XML.sub("\ufffd", text)


def encode_error(service: Service, error: AwsError, request_id: str) -> Response:
    """Return the error response of REST-XML and the query protocol, in their own error codes."""
    code, status = XML_ERROR_CODES.get(error.code, (error.code, None))
    spec = service.errors.get(error.code)
    if spec is not None and error.code != _FOREIGN_TOKEN_ERROR:
        code, status = spec.code, None
    root = xml_root("ErrorResponse", service)
    detail = etree.SubElement(root, "Error")
    fault = "Sender" if error.sender_fault else "Receiver"
    for tag, text in (("Type", fault), ("Code", code), ("Message", error.message)):
        etree.SubElement(detail, tag).text = _carriable(text)
    etree.SubElement(root, "RequestId").text = request_id
    return Response(
        status=error.status if status is None else status,
        headers=xml_headers(request_id),
        body=to_bytes(root),
    )


def xml_headers(request_id: str) -> Sequence[tuple[str, str]]:
    """Return the headers that every XML response has."""
    return (("x-amzn-RequestId", request_id), ("Content-Type", "text/xml"))


def to_bytes(root: etree._Element) -> bytes:
    """Return the document as UTF-8 with its declaration."""
    return _DECLARATION + etree.tostring(root, encoding="UTF-8")
