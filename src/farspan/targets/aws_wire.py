"""Calls of AWS's own APIs as requests, and what their answers come to. Pure.

A request is made from the service's model: its protocol, its headers, where each member goes. Only
what the kinds of targets need is here: JSON, query and REST-JSON, with flat inputs in the last. An
answer's body is read for its error code and message alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote, urlencode

import msgspec

from farspan.model.delivery import DELIVERED, Outcome, Verdict
from farspan.targets.base import (
    ERROR_FROM_TARGET,
    INVALID_PARAMETER,
    NO_PERMISSIONS,
    NO_RESOURCE,
    SDK_CLIENT_ERROR,
    THROTTLING,
)
from farspan.targets.call import ANSWER_BYTES_MAX, Answer, Call

Protocol = Literal["json", "query", "rest-json"]
MESSAGE_CHARACTERS_MAX: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsOperation:
    """What a model says of one operation.

    `places` has the members that are not in the body: where (`uri`, `header`) and under which name.
    `payload` is the member that is the body.
    """

    service: str
    name: str
    signing_name: str
    protocol: Protocol
    json_version: str
    target_prefix: str
    api_version: str
    method: str
    uri: str
    places: Mapping[str, tuple[str, str]]
    payload: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsRequest:
    """A request before it is signed: `path` is encoded, header names are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUrl:
    """Where a service is, and the keys that sign what is sent there."""

    url: str
    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsigned:
    """What a signature is made of."""

    request: AwsRequest
    path: str
    query: str = ""
    host: str
    service: str
    region: str
    keys: ServiceUrl


TRACE_HEADER: Final = "x-amzn-trace-id"
"""Carries an event's trace to a target. It is not signed, as SDKs do: proxies change it."""


def trace_headers(trace_header: str | None) -> dict[str, str]:
    """Return the header with which a request carries a trace."""
    return {} if trace_header is None else {TRACE_HEADER: trace_header}


Sign = Callable[[Unsigned], Mapping[str, str]]
"""Return the headers that sign a request."""


def signed_call(
    sign: Sign,
    unsigned: Unsigned,
    *,
    url: str,
    account: str,
    trace_header: str | None,
    seconds: float,
    answer_bytes_max: int = ANSWER_BYTES_MAX,
) -> Call:
    """Return the call that sends a request, signed, to a URL of the configuration's."""
    request = unsigned.request
    return Call(
        account=account,
        method=request.method,
        url=url,
        headers={
            **request.headers,
            "host": unsigned.host,
            **sign(unsigned),
            **trace_headers(trace_header),
        },
        body=request.body,
        seconds=seconds,
        is_trusted=True,
        answer_bytes_max=answer_bytes_max,
    )


def request_of(operation: AwsOperation, given: Mapping[str, Any]) -> AwsRequest:
    """Return the request for an input."""
    if operation.protocol == "query":
        fields = {
            "Action": operation.name,
            "Version": operation.api_version,
            **dict(_query_fields("", given)),
        }
        return AwsRequest(
            method="POST",
            path="/",
            headers={"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
            body=urlencode(fields, quote_via=quote, safe="-_.~").encode(),
        )
    if operation.protocol == "json":
        return AwsRequest(
            method="POST",
            path="/",
            headers={
                "content-type": f"application/x-amz-json-{operation.json_version}",
                "x-amz-target": f"{operation.target_prefix}.{operation.name}",
            },
            body=msgspec.json.encode(given),  # bytes become base64, as blobs are in JSON
        )
    return _rest_request(operation, given)


def _query_fields(prefix: str, given: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - JSON
    """Yield an input as the query protocol names its parts."""
    if isinstance(given, Mapping):
        for name, value in given.items():
            yield from _query_fields(f"{prefix}.{name}" if prefix else name, value)
    elif isinstance(given, list):
        for number, value in enumerate(given, start=1):
            yield from _query_fields(f"{prefix}.member.{number}", value)
    else:
        yield prefix, given


def _rest_request(operation: AwsOperation, given: Mapping[str, Any]) -> AwsRequest:
    path = operation.uri
    headers = {"content-type": "application/json"}
    members: dict[str, Any] = {}
    for name, value in given.items():
        place, wire_name = operation.places.get(name, ("body", name))
        if place == "uri":
            path = path.replace(f"{{{wire_name}}}", quote(value, safe=""))
        elif place == "header":
            headers[wire_name.lower()] = value
        else:
            members[wire_name] = value
    body = members.get(operation.payload) if operation.payload else msgspec.json.encode(members)
    return AwsRequest(method=operation.method, path=path, headers=headers, body=bytes(body or b""))


# --- answers ---------------------------------------------------------------------------------

_THROTTLED: Final = re.compile(
    r"Throttl|TooManyRequests|SlowDown|RequestLimitExceeded|ProvisionedThroughputExceeded"
    r"|BandwidthLimitExceeded|LimitExceededFault|PriorRequestNotComplete"
)
_BUSY: Final = re.compile(
    r"ServiceUnavailable|InternalFailure|InternalError|InternalServer|ServiceException"
    r"|RequestTimeout|IDPCommunicationError|ConcurrentModification|NotReady"
)
_DENIED: Final = re.compile(
    r"AccessDenied|NotAuthorized|Authorization|Unauthorized|UnrecognizedClient|SignatureDoesNotMatch"
    r"|InvalidClientTokenId|InvalidSignature|ExpiredToken|IncompleteSignature|Forbidden"
)
_MISSING: Final = re.compile(r"NotFound|DoesNotExist|NonExistent|NoSuch|UnknownResource")
_INVALID: Final = re.compile(r"Validation|Invalid|Malformed|Missing|Serialization|ParamError")

_XML_CODE: Final = re.compile(rb"<Code>([^<]{1,128})</Code>")
_XML_MESSAGE: Final = re.compile(rb"<Message>([^<]{1,2048})</Message>", re.IGNORECASE)
_REQUEST_IDS: Final = ("x-amzn-requestid", "x-amz-request-id")


def outcome_of(service: str, answer: Answer) -> Outcome:
    """Return what an answer comes to.

    Throttling, a service's own faults and time-outs may work later. What is denied, missing or
    invalid will not.
    """
    return failure_of(service, answer) or DELIVERED


def failure_of(
    service: str, answer: Answer, refused: tuple[str, str] | None = None
) -> Outcome | None:
    """Return why an answer is none of success, or why one record was `refused` by code and message.

    None where the whole of it succeeded.
    """
    if refused is None:
        if answer.status // 100 == 2:  # noqa: PLR2004 - the class of success
            return None
        refused = _error(answer)
    code, message = refused
    request_id = next((answer.headers[n] for n in _REQUEST_IDS if n in answer.headers), "null")
    verdict, error_code = _class_of(code, answer.status)
    message = message[:MESSAGE_CHARACTERS_MAX] or "The service gave no reason."
    return Outcome(
        verdict=verdict,
        error_code=error_code,
        error_message=f"{message} (Service: {service}; Status Code: {answer.status}; "
        f"Error Code: {code or 'null'}; Request ID: {request_id}; Proxy: null)",
    )


def _class_of(code: str, status: int) -> tuple[Verdict, str]:
    has_failed = status // 100 == 5  # noqa: PLR2004 - the class of the server's errors
    if status == 429 or _THROTTLED.search(code):  # noqa: PLR2004 - Too Many Requests
        return Verdict.RETRYABLE, THROTTLING
    if has_failed or _BUSY.search(code):
        return Verdict.RETRYABLE, ERROR_FROM_TARGET
    for pattern, error_code in (
        (_DENIED, NO_PERMISSIONS),
        (_MISSING, NO_RESOURCE),
        (_INVALID, INVALID_PARAMETER),
    ):
        if pattern.search(code):
            return Verdict.PERMANENT, error_code
    by_status = {401: NO_PERMISSIONS, 403: NO_PERMISSIONS, 404: NO_RESOURCE}
    return Verdict.PERMANENT, by_status.get(status, SDK_CLIENT_ERROR)


def _error(answer: Answer) -> tuple[str, str]:
    """Return the code and the message of an error, as far as it has any."""
    code, message = answer.headers.get("x-amzn-errortype", ""), ""
    if answer.body.lstrip().startswith(b"<"):
        found, said = _XML_CODE.search(answer.body), _XML_MESSAGE.search(answer.body)
        code = code or (found[1].decode(errors="replace") if found else "")
        message = said[1].decode(errors="replace") if said else ""
    else:
        members = _members(answer.body)
        code = code or str(members.get("__type") or members.get("code") or "")
        message = str(members.get("message") or members.get("Message") or "")
    # A code may stand between a namespace before `#` and a URL behind `:`.
    code = code.partition(":")[0].rpartition("#")[2].strip()
    return code[:128], message


def _members(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}
