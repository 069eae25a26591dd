"""The façade over botocore's models: what it finds there, and what it adds."""

from __future__ import annotations

import pytest

from farspan import errors
from farspan.wire import spec

SERVICES = sorted(spec.API_VERSIONS)


@pytest.mark.parametrize(
    ("name", "signing_name", "protocol", "json_version", "target_prefix", "api_version"),
    [
        ("events", "events", "json", "1.1", "AWSEvents", "2015-10-07"),
        ("sqs", "sqs", "json", "1.0", "AmazonSQS", "2012-11-05"),
        ("route53", "route53", "rest-xml", None, None, "2013-04-01"),
        ("sts", "sts", "query", None, None, "2011-06-15"),
    ],
)
def test_a_service_says_how_it_is_spoken_to(
    name: str,
    signing_name: str,
    protocol: str,
    json_version: str | None,
    target_prefix: str | None,
    api_version: str,
) -> None:
    """Protocol, signing name and versions are those of the model."""
    service = spec.service(name)

    assert (name, signing_name, protocol) == (service.name, service.signing_name, service.protocol)
    assert (json_version, target_prefix) == (service.json_version, service.target_prefix)
    assert api_version == service.api_version


@pytest.mark.parametrize(
    ("name", "namespace"),
    [
        ("route53", "https://route53.amazonaws.com/doc/2013-04-01/"),
        ("sts", "https://sts.amazonaws.com/doc/2011-06-15/"),
        ("events", None),
    ],
)
def test_xml_services_have_a_namespace(name: str, namespace: str | None) -> None:
    """The namespace is found wherever the model keeps it."""
    assert namespace == spec.service(name).xml_namespace


def test_an_unknown_service_is_a_key_error() -> None:
    """Farspan speaks four services and no more."""
    with pytest.raises(KeyError):
        spec.service("ec2")


def test_a_service_is_built_once() -> None:
    """Codecs hold on to shapes, so there is one set of them."""
    assert spec.service("events") is spec.service("events")


def test_events_has_all_its_operations() -> None:
    """The model of 2015-10-07 has 57 operations."""
    assert len(spec.service("events").operations) == 57


def test_a_structures_members_keep_the_models_order() -> None:
    """XML and messages list members in the model's order."""
    shape = spec.service("events").operations["PutTargets"].input_shape

    assert shape is not None
    assert list(shape.members) == ["Rule", "EventBusName", "Targets"]
    assert [member.required for member in shape.members.values()] == [True, False, True]


def test_constraints_come_with_the_shape() -> None:
    """Lengths, patterns and values are the model's."""
    shape = spec.service("events").operations["PutRule"].input_shape

    assert shape is not None
    name, state = shape.members["Name"].shape, shape.members["State"].shape
    assert (name.minimum, name.maximum, name.pattern) == (1, 64, r"[\.\-_A-Za-z0-9]+")
    assert "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS" in state.enum


def test_a_rest_member_says_where_it_lives() -> None:
    """Route 53 carries members in the path, the query, headers and the body."""
    operations = spec.service("route53").operations
    update = operations["UpdateHealthCheck"]
    created = operations["CreateHealthCheck"].output_shape

    assert update.input_shape is not None
    assert created is not None
    assert update.input_shape.members["HealthCheckId"].location == "uri"
    assert update.input_shape.members["Port"].location is None
    assert created.members["Location"].location == "header"
    assert update.input_name == "UpdateHealthCheckRequest"


def test_a_query_result_has_a_wrapper() -> None:
    """The query protocol wraps each result in an element of its own."""
    assert spec.service("sts").operations["GetCallerIdentity"].output_wrapper == (
        "GetCallerIdentityResult"
    )


@pytest.mark.parametrize(
    ("name", "query_code"),
    [
        ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"),
        ("QueueNameExists", "QueueAlreadyExists"),
        ("PurgeQueueInProgress", "AWS.SimpleQueueService.PurgeQueueInProgress"),
        ("ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"),
        ("KmsNotFound", "KMS.NotFoundException"),
    ],
)
def test_sqs_errors_have_their_former_codes(name: str, query_code: str) -> None:
    """SDKs written for SQS's former protocol look for the codes of that time."""
    assert query_code == spec.service("sqs").errors[name].query_code


@pytest.mark.parametrize("name", spec.SQS_QUERY_CODES)
def test_every_former_code_belongs_to_an_error_of_the_model(name: str) -> None:
    """The table of former codes names no error that SQS does not have."""
    assert name in spec.service("sqs").errors


@pytest.mark.parametrize(
    ("service", "name", "status"),
    [
        ("route53", "NoSuchHealthCheck", 404),
        ("route53", "HealthCheckAlreadyExists", 409),
        ("events", "ResourceNotFoundException", 400),
        ("events", "InternalException", 500),
    ],
)
def test_errors_have_the_models_status(service: str, name: str, status: int) -> None:
    """Our own errors answer with the status that the model gives them."""
    assert status == spec.service(service).errors[name].status == getattr(errors, name).status
