"""One door for the server: which call is this request, what are its parameters, how to answer.

Chooses among the codecs and knows no operation by name. It must never raise anything but
`AwsError` for what a caller sent.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from farspan.errors import AwsError, SerializationException, UnknownOperationException
from farspan.wire import json_codec, query, rest_xml, rpc_cbor, spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farspan.wire.http import Request, Response
    from farspan.wire.spec import Operation, Protocol, Service

JSON_SERVICES: Final = ("events", "sqs", "logs", "cloudwatch", "route53-recovery-cluster")
INFLATED_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of a compressed body: as much as an uncompressed one may have."""

Dialect = Literal["json", "xml", "cbor"]

_FORM_SERVICES: Final = {spec.API_VERSIONS[name]: name for name in ("iam", "sts", "cloudwatch")}
_ACTION_LENGTH_MAX: Final = 128  # longer than any operation's name; caps what messages echo
_RPC_PATH: Final = re.compile(
    r"/service/(?P<service>[A-Za-z0-9_.]+)/operation/(?P<operation>[A-Za-z0-9_]+)"
)
_RPC_SERVICES: Final = ("cloudwatch",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a request asks for, as far as it can be told without its parameters.

    `service` is None when no service could be made out; `action` is the operation's name as
    sent, whether it exists or not. `path_parameters` are those a REST path holds, decoded.
    `dialect` is how to word an error to a client whose service is not known, `protocol` the one
    that the request came in where its service has several.
    """

    service: Service | None
    action: str
    path_parameters: Mapping[str, str] = field(default_factory=dict)
    dialect: Dialect = "json"
    protocol: Protocol | None = None

    @property
    def spoken(self) -> Protocol:
        """The protocol to decode and to answer in."""
        return self.protocol or _service(self).protocol

    @property
    def operation(self) -> Operation:
        """The operation. Raises UnknownOperationException when there is no such one."""
        found = None if self.service is None else self.service.operations.get(self.action)
        if found is None:
            raise UnknownOperationException(self._unknown())
        return found

    def _unknown(self) -> str:
        if self.service is None:
            named = f" '{self.action}'" if self.action else ""
            return f"No service of this endpoint knows the requested operation{named}."
        return f"The operation '{self.action}' is not known to {self.service.name}."


def identify(request: Request) -> Call:
    """Tell which call a request is. Never raises: `Call.operation` and `decode` do.

    The header `X-Amz-Target` names a JSON operation (`AWSEvents.PutEvents`), a path under
    Route 53's API version a REST-XML one, a form with Action and Version one of the query
    protocol, and a path of Smithy's RPC one in CBOR. In this order, because SQS clients send JSON
    to a queue's own path. Clients of services that Farspan lacks learn that by name.
    """
    target = request.headers.get("x-amz-target")
    if target is not None:
        known = _targets().get(target) if request.method == "POST" else None
        return known or _unknown_target(target)
    route53 = spec.service("route53")
    if request.path.startswith(f"/{route53.api_version}/"):
        return _rest_call(route53, request)
    rpc = _RPC_PATH.fullmatch(request.path)
    if rpc is not None:
        return _rpc_call(rpc["service"], rpc["operation"][:_ACTION_LENGTH_MAX])
    return _form_call(request)


def decode(call: Call, request: Request) -> dict[str, Any]:
    """Return the call's parameters by the model's names, checked for type, not for constraints.

    Raises UnknownOperationException, or the protocol's error for a body it cannot read:
    SerializationException for JSON, InvalidInput for Route 53, ValidationException for forms.
    """
    operation, request = call.operation, uncompressed(request)
    match call.spoken:
        case "json":
            return json_codec.decode_input(operation, request.body)
        case "smithy-rpc-v2-cbor":
            return rpc_cbor.decode_input(operation, request.body)
        case "rest-xml":
            return rest_xml.decode_input(operation, request, call.path_parameters)
        case _:
            return query.decode_input(operation, request)


def encode(call: Call, result: Mapping[str, Any], request_id: str) -> Response:
    """Return the response to a call that succeeded.

    Raises KeyError for members that the model does not have.
    """
    service = _service(call)
    match call.spoken:
        case "json":
            return json_codec.encode_response(service, call.operation, result, request_id)
        case "smithy-rpc-v2-cbor":
            return rpc_cbor.encode_response(call.operation, result, request_id)
        case "rest-xml":
            return rest_xml.encode_response(service, call.operation, result, request_id)
        case _:
            return query.encode_response(service, call.operation, result, request_id)


def encode_error(call: Call | None, error: AwsError, request_id: str) -> Response:
    """Return the response to a call that failed, in the protocol of its service.

    A call whose service is not known is answered in the protocol that it came in, and None as
    EventBridge would.
    """
    if call is not None and call.service is None and call.dialect != "json":
        if call.dialect == "cbor":
            return rpc_cbor.encode_error(None, error, request_id)
        return rest_xml.encode_error(spec.service("sts"), error, request_id)
    service = _service(call)
    match service.protocol if call is None else call.spoken:
        case "json":
            return json_codec.encode_error(service, error, request_id)
        case "smithy-rpc-v2-cbor":
            return rpc_cbor.encode_error(service, error, request_id)
        case _:
            return rest_xml.encode_error(service, error, request_id)


def _service(call: Call | None) -> Service:
    if call is None or call.service is None:
        return spec.service("events")
    return call.service


@cache
def _targets() -> Mapping[str, Call]:
    """Every JSON operation by its X-Amz-Target. They are all POSTs."""
    services = (spec.service(name) for name in JSON_SERVICES)
    return {
        f"{service.target_prefix}.{name}": Call(service=service, action=name, protocol="json")
        for service in services
        for name in service.operations
    }


def _unknown_target(target: str) -> Call:
    prefix, _, action = target.partition(".")
    for name in JSON_SERVICES:
        service = spec.service(name)
        if prefix == service.target_prefix and action not in service.operations:
            return Call(service=service, action=action[:_ACTION_LENGTH_MAX], protocol="json")
    return Call(service=None, action=target[:_ACTION_LENGTH_MAX])


def _rest_call(service: Service, request: Request) -> Call:
    matched = rest_xml.match(service, request.method, request.path)
    if matched is None:
        action = f"{request.method} {request.path}"[:_ACTION_LENGTH_MAX]
        return Call(service=service, action=action)
    operation, path_parameters = matched
    return Call(service=service, action=operation.name, path_parameters=path_parameters)


def _rpc_call(name: str, action: str) -> Call:
    """Return a call by the path of Smithy's RPC; the service goes by its shape's name."""
    for candidate in _RPC_SERVICES:
        service = spec.service(candidate)
        if name.rpartition(".")[2] == service.target_prefix:
            return Call(service=service, action=action, protocol="smithy-rpc-v2-cbor")
    return Call(service=None, action=action, dialect="cbor")


def uncompressed(request: Request) -> Request:
    """Return the request with its body as it was before gzip. Raises SerializationException."""
    if request.headers.get("content-encoding", "").strip().lower() != "gzip":
        return request
    try:
        inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)  # 16: with gzip's header
        body = inflate.decompress(request.body, INFLATED_BYTES_MAX + 1)
    except zlib.error as error:
        raise SerializationException(f"The request body is not valid gzip: {error}.") from None
    if len(body) > INFLATED_BYTES_MAX or not inflate.eof:
        raise SerializationException(
            f"The request body is not whole gzip of at most {INFLATED_BYTES_MAX} bytes."
        )
    return msgspec.structs.replace(request, body=body)


def _form_call(request: Request) -> Call:
    try:
        fields = query.form_fields(uncompressed(request))
    except SerializationException:
        fields = {}
    action = fields.get("Action", "")[:_ACTION_LENGTH_MAX]
    name = _FORM_SERVICES.get(fields.get("Version", ""))
    known = spec.service(name) if action and name is not None else None
    return Call(
        service=known,
        action=action,
        dialect="xml" if action else "json",
        protocol=None if known is None else "query",
    )
