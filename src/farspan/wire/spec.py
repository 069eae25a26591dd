"""What AWS's service models say, as typed values: services, operations, shapes, errors.

Reads the models that botocore ships, without importing it: its code costs 14 MB and 0.15 s in each
process that only wants its data. Everything is built once and then only read. It must never reach
the network or a credential.
"""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Protocol = Literal["json", "rest-xml", "query", "rest-json", "smithy-rpc-v2-cbor"]

# The API versions Farspan speaks. A later model is a different API until someone has read it.
API_VERSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cloudwatch": "2010-08-01",
        "events": "2015-10-07",
        "iam": "2010-05-08",
        "logs": "2014-03-28",
        "route53": "2013-04-01",
        "route53-recovery-cluster": "2019-12-02",
        "sqs": "2012-11-05",
        "sts": "2011-06-15",
    }
)

# The APIs that targets are called through.
TARGET_API_VERSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "batch": "2016-08-10",
        "codebuild": "2016-10-06",
        "codepipeline": "2015-07-09",
        "ecs": "2014-11-13",
        "firehose": "2015-08-04",
        "inspector": "2016-02-16",
        "kinesis": "2013-12-02",
        "lambda": "2015-03-31",
        "redshift-data": "2019-12-20",
        "sagemaker": "2017-07-24",
        "sns": "2010-03-31",
        "ssm": "2014-11-06",
        "stepfunctions": "2016-11-23",
    }
)

# The codes SQS had before it spoke JSON, which callers written then still look for. The model of
# botocore 1.44.5 says that SQS is query compatible but not what the codes are, so they are written
# down here (SQS API reference, "Errors" of each action; Smithy's aws.protocols#awsQueryError).
SQS_QUERY_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue",
        "QueueNameExists": "QueueAlreadyExists",
        "KmsAccessDenied": "KMS.AccessDeniedException",
        "KmsDisabled": "KMS.DisabledException",
        "KmsInvalidKeyUsage": "KMS.InvalidKeyUsageException",
        "KmsInvalidState": "KMS.InvalidStateException",
        "KmsNotFound": "KMS.NotFoundException",
        "KmsOptInRequired": "KMS.OptInRequired",
        "KmsThrottled": "KMS.ThrottlingException",
    }
    | {
        name: f"AWS.SimpleQueueService.{name}"
        for name in (
            "BatchEntryIdsNotDistinct",
            "BatchRequestTooLong",
            "EmptyBatchRequest",
            "InvalidBatchEntryId",
            "MessageNotInflight",
            "PurgeQueueInProgress",
            "QueueDeletedRecently",
            "TooManyEntriesInBatchRequest",
            "UnsupportedOperation",
        )
    }
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Shape:
    """One type of a model, with its constraints.

    `type` is the model's: structure, list, map, string, integer, long, float, double, boolean,
    timestamp, blob. `minimum` and `maximum` bound the length of strings, blobs, lists and maps
    and the value of numbers. Shapes compare by identity: each exists once for each service.
    """

    name: str
    type: str
    members: Mapping[str, Member]
    enum: tuple[str, ...] = ()
    pattern: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    sensitive: bool = False
    payload: str | None = None

    @property
    def item(self) -> Member:
        """A list's member."""
        return self.members["member"]

    @property
    def key(self) -> Member:
        """A map's key."""
        return self.members["key"]

    @property
    def value(self) -> Member:
        """A map's value."""
        return self.members["value"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Member:
    """A use of a shape: a structure's member, a list's item, a map's key or value.

    `location` is where REST protocols carry it (`uri`, `querystring`, `header`; None is the
    body), `location_name` its name there if that differs from `name`.
    """

    name: str
    shape: Shape
    required: bool = False
    location: str | None = None
    location_name: str | None = None
    flattened: bool = False
    timestamp_format: str | None = None
    xml_namespace: str | None = None
    xml_attribute: bool = False

    @property
    def wire_name(self) -> str:
        """The name on the wire."""
        return self.location_name or self.name


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ErrorSpec:
    """What a service's model says of one of its errors.

    `code` is the name on the wire, `query_code` the one in the header `x-amzn-query-error`.
    """

    name: str
    code: str
    status: int = 400
    query_code: str | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Operation:
    """One operation: what goes in, what comes out, where it lives in HTTP.

    `input_name` is the XML root of a REST body, `output_wrapper` the element that the query
    protocol wraps the result in.
    """

    service: str
    name: str
    input_shape: Shape | None
    output_shape: Shape | None
    http_method: str
    http_uri: str
    http_status: int
    error_codes: frozenset[str]
    input_name: str | None = None
    output_wrapper: str | None = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Service:
    """One service: its protocol, its operations by name, its errors by shape name.

    `protocol` is the first that its model names; CloudWatch speaks three.
    """

    name: str
    signing_name: str
    protocol: Protocol
    json_version: str | None
    target_prefix: str | None
    api_version: str
    xml_namespace: str | None
    operations: Mapping[str, Operation]
    errors: Mapping[str, ErrorSpec]


def _empty_shape(name: str, model: Mapping[str, Any], members: Mapping[str, Member]) -> Shape:
    """Return a shape whose members are yet to be filled in."""
    return Shape(
        name=name,
        type=model["type"],
        members=MappingProxyType(members),
        enum=tuple(model.get("enum", ())),
        pattern=model.get("pattern"),
        minimum=model.get("min"),
        maximum=model.get("max"),
        sensitive=bool(model.get("sensitive")),
        payload=model.get("payload"),
    )


class _Shapes:
    """Builds each shape of one model once, known before its members are: some hold themselves."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        self._model = model
        self._built: dict[str, Shape] = {}

    def shape(self, name: str) -> Shape:
        built = self._built.get(name)
        return self._build(name, self._model[name]) if built is None else built

    def _build(self, name: str, model: Mapping[str, Any]) -> Shape:
        members: dict[str, Member] = {}
        built = self._built[name] = _empty_shape(name, model, members)
        required = frozenset(model.get("required", ()))
        references = dict(model.get("members", {}))
        references |= {part: model[part] for part in ("member", "key", "value") if part in model}
        for member, reference in references.items():
            members[member] = self._member(
                member, reference, required=member in required, parent_flat="flattened" in model
            )
        return built

    def _member(
        self, name: str, reference: Mapping[str, Any], *, required: bool, parent_flat: bool
    ) -> Member:
        shape_model = self._model[reference["shape"]]
        return Member(
            name=name,
            shape=self.shape(reference["shape"]),
            required=required,
            location=reference.get("location"),
            location_name=reference.get("locationName"),
            flattened=parent_flat or "flattened" in reference or "flattened" in shape_model,
            timestamp_format=reference.get("timestampFormat", shape_model.get("timestampFormat")),
            xml_namespace=reference.get("xmlNamespace", {}).get("uri"),
            xml_attribute=bool(reference.get("xmlAttribute")),
        )


@lru_cache(maxsize=len(API_VERSIONS))
def service(name: str) -> Service:
    """Return the model of the service that botocore calls `name`: a key of API_VERSIONS.

    Raises KeyError for any other.
    """
    api_version = API_VERSIONS[name]
    model = _load_model(name, api_version)
    metadata = model["metadata"]
    shapes = _Shapes(model["shapes"])
    operations = {
        operation: _operation(name, operation, shapes, entry)
        for operation, entry in model["operations"].items()
    }
    return Service(
        name=name,
        signing_name=metadata.get("signingName", metadata["endpointPrefix"]),
        protocol=metadata["protocol"],
        json_version=metadata.get("jsonVersion"),
        target_prefix=metadata.get("targetPrefix"),
        api_version=api_version,
        xml_namespace=metadata.get("xmlNamespace") or _namespace(model["operations"]),
        operations=MappingProxyType(operations),
        errors=MappingProxyType(
            {
                shape: _error(name, shape, entry)
                for shape, entry in model["shapes"].items()
                if entry.get("exception")
            }
        ),
    )


def outgoing(name: str, wanted: Collection[str]) -> Service:
    """Return the model of a service that is called, with these operations and their inputs alone.

    The whole of some would be megabytes. `name` is a key of TARGET_API_VERSIONS.
    """
    api_version = TARGET_API_VERSIONS[name]
    model = _load_model(name, api_version)
    metadata = model["metadata"]
    shapes = _Shapes(model["shapes"])
    protocols: list[Protocol] = metadata.get("protocols") or [metadata["protocol"]]
    return Service(
        name=name,
        signing_name=metadata.get("signingName", metadata["endpointPrefix"]),
        protocol=next(one for one in protocols if one in ("json", "query", "rest-json")),
        json_version=metadata.get("jsonVersion"),
        target_prefix=metadata.get("targetPrefix"),
        api_version=api_version,
        xml_namespace=metadata.get("xmlNamespace"),
        operations=MappingProxyType(
            {
                operation: _operation(
                    name, operation, shapes, {**model["operations"][operation], "output": {}}
                )
                for operation in wanted
            }
        ),
        errors=MappingProxyType({}),
    )


def _load_model(name: str, api_version: str) -> dict[str, Any]:
    """Return a model as botocore's package has it, packed or plain."""
    package = importlib.util.find_spec("botocore")
    assert package is not None, "botocore is a dependency"
    assert package.origin is not None, "botocore is installed as files"
    packed = Path(package.origin).parent / "data" / name / api_version / "service-2.json.gz"
    if packed.exists():
        raw = gzip.decompress(packed.read_bytes())
    else:
        raw = packed.with_suffix("").read_bytes()
    return msgspec.json.decode(raw, type=dict[str, Any])


def _operation(
    service_name: str, name: str, shapes: _Shapes, entry: Mapping[str, Any]
) -> Operation:
    given, returned, http = entry.get("input", {}), entry.get("output", {}), entry["http"]
    return Operation(
        service=service_name,
        name=name,
        input_shape=shapes.shape(given["shape"]) if given else None,
        output_shape=shapes.shape(returned["shape"]) if returned else None,
        http_method=http["method"],
        http_uri=http["requestUri"],
        http_status=http.get("responseCode", 200),
        error_codes=frozenset(error["shape"] for error in entry.get("errors", ())),
        input_name=given.get("locationName"),
        output_wrapper=returned.get("resultWrapper"),
    )


def _namespace(operations: Mapping[str, Any]) -> str | None:
    """Find the namespace where a REST-XML model keeps it: on the inputs that have a body."""
    for operation in operations.values():
        uri = operation.get("input", {}).get("xmlNamespace", {}).get("uri")
        if uri is not None:
            return cast("str", uri)
    return None


def _error(service_name: str, shape: str, entry: Mapping[str, Any]) -> ErrorSpec:
    error = entry.get("error", {})
    if service_name == "sqs":
        query_code = SQS_QUERY_CODES.get(shape, shape)
        return ErrorSpec(name=shape, code=shape, query_code=query_code)
    default_status = 500 if entry.get("fault") else 400
    return ErrorSpec(
        name=shape,
        code=error.get("code", shape),
        status=error.get("httpStatusCode", default_status),
    )
