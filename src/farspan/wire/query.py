"""The AWS query protocol, as STS and IAM speak it: a form in, XML out.

Lists come as `X.member.1`, structures as `X.Y`, maps as `X.entry.1.key` and `X.entry.1.value`.
Whatever the bytes, decoding gives parameters or an `AwsError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from lxml import etree

from farspan.errors import ValidationException
from farspan.wire import rest_xml
from farspan.wire.http import Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farspan.wire.spec import Member, Operation, Service, Shape

FORM_CONTENT_TYPE: Final = "application/x-www-form-urlencoded"
LIST_ITEMS_MAX: Final = 1000  # as many as a form may have fields
_DIGITS_MAX: Final = 4  # of a list index


def form_fields(request: Request) -> dict[str, str]:
    """Return the request's form: the body's if it says it is one, the query's for a GET.

    A form with more than 1000 fields, and anything that is no form, is empty. The last of a
    repeated field wins. Never raises.
    """
    content_type = request.headers.get("content-type", "")
    if request.method == "GET":
        text = request.query
    elif content_type.partition(";")[0].strip().lower() == FORM_CONTENT_TYPE:
        text = request.body.decode("utf-8", "replace")
    else:
        return {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=rest_xml.QUERY_FIELDS_MAX)
    except ValueError:
        return {}
    return dict(pairs)


def decode_input(operation: Operation, request: Request) -> dict[str, Any]:
    """Return the operation's parameters from the form. Unknown fields are ignored.

    Raises ValidationException when a value is not of the model's type.
    """
    if operation.input_shape is None:
        return {}
    return _structure(operation.input_shape, form_fields(request), "")


def _structure(shape: Shape, fields: Mapping[str, str], prefix: str) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for member in shape.members.values():
        value = _value(member, fields, prefix + member.wire_name)
        if value is not None:
            result[member.name] = value
    return result


def _value(member: Member, fields: Mapping[str, str], name: str) -> Any:  # noqa: ANN401
    """Return the value under `name`, or None if the form has nothing there."""
    shape = member.shape
    if shape.type == "structure":
        given = any(field.startswith(f"{name}.") for field in fields)
        return _structure(shape, fields, f"{name}.") if given else None
    if shape.type == "list":
        return _list(member, fields, name)
    if shape.type == "map":
        return _map(member, fields, name)
    text = fields.get(name)
    if text is None:
        return None
    try:
        return rest_xml.parse_scalar(shape, text)
    except rest_xml.ScalarError as error:
        raise ValidationException(
            f"The value '{text[:64]}' of {name} is not valid: {error.reason}."
        ) from None


def _list(member: Member, fields: Mapping[str, str], name: str) -> list[Any] | None:
    item = member.shape.item
    prefix = f"{name}." if member.flattened else f"{name}.{item.location_name or 'member'}."
    items = [_value(item, fields, prefix + index) for index in _indices(fields, prefix)]
    # An empty list is sent as its bare name.
    return items or ([] if fields.get(name) == "" else None)


def _map(member: Member, fields: Mapping[str, str], name: str) -> dict[str, Any] | None:
    """Collect the entries that have a key and a value; the last of a repeated key wins."""
    key, value = member.shape.key, member.shape.value
    prefix = f"{name}." if member.flattened else f"{name}.entry."
    found: dict[str, Any] = {}
    for index in _indices(fields, prefix):
        entry_key = _value(key, fields, f"{prefix}{index}.{key.location_name or 'key'}")
        entry = _value(value, fields, f"{prefix}{index}.{value.location_name or 'value'}")
        if entry_key is not None and entry is not None:
            found[entry_key] = entry
    return found or None


def _indices(fields: Mapping[str, str], prefix: str) -> list[str]:
    """Return the indices that the form has after `prefix` in order; there may be gaps."""
    indices = {
        index
        for field in fields
        if field.startswith(prefix) and _is_index(index := field[len(prefix) :].partition(".")[0])
    }
    return sorted(indices, key=int)[:LIST_ITEMS_MAX]


def _is_index(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX


def encode_response(
    service: Service, operation: Operation, result: Mapping[str, Any], request_id: str
) -> Response:
    """Return `<OpResponse><OpResult>…</OpResult><ResponseMetadata>…` for `result`.

    Raises KeyError for a member that the model does not have.
    """
    root = rest_xml.xml_root(f"{operation.name}Response", service)
    if operation.output_shape is not None:
        wrapper = etree.SubElement(root, operation.output_wrapper or f"{operation.name}Result")
        rest_xml.append_structure(wrapper, operation.output_shape, result)
    metadata = etree.SubElement(root, "ResponseMetadata")
    etree.SubElement(metadata, "RequestId").text = request_id
    return Response(
        status=operation.http_status,
        headers=rest_xml.xml_headers(request_id),
        body=rest_xml.to_bytes(root),
    )
