"""Every operation against the constraints of AWS's own model.

What keeps all of them is never refused for one, and fails only by errors that the model names;
what breaks one is refused in AWS's words; what is of another JSON kind is no request at all. And
whatever comes, the answer is not the server's fault.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import SERVED, Api, operation
from requests_from_models import (
    TEXT_SIZE_MAX,
    WRONG_KINDS,
    Place,
    breaches,
    is_in_path,
    places,
    values,
)

EVERYWHERE = {"AccessDeniedException", "ThrottlingException", "ValidationException"}
"""Errors that any operation may answer and the models do not name (AWS: common errors)."""

INVALID = {
    "cloudwatch": "ValidationError",
    "iam": "ValidationError",
    "logs": "InvalidParameterException",
    "route53": "InvalidInput",
    "sts": "ValidationError",
}
"""What other services than EventBridge and SQS call a broken constraint."""

ALSO = {
    "cloudwatch": {"InvalidParameterValue", "ResourceNotFoundException"},
    "iam": {"AccessDenied"},
    "sqs": {"InvalidParameterValue"},
    "sts": {"AccessDenied"},
}
"""Errors of a service that its model does not name."""

CHOSEN = {("events", "PutEvents"): {"ResourceNotFoundException"}}
"""Errors where AWS documents nothing: an EndpointId that is no endpoint's (docs/compatibility)."""

UNMODELLED = {("logs", "PutRetentionPolicy")}
"""Operations with a constraint that the service has and its model lacks."""

OPEN_ENUMS = {"QueueAttributeName", "MessageSystemAttributeName"}
"""SQS has errors of its own for names that it does not know."""

JSON = [key for key in SERVED if key[0] in {"cloudwatch", "events", "logs", "sqs"}]
every_operation = pytest.mark.parametrize(("service", "name"), SERVED)
every_json_operation = pytest.mark.parametrize(("service", "name"), JSON)
several = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def places_of(service: str, name: str) -> list[Place]:
    """Return every place in an operation's input."""
    shape = operation(service, name).input_shape
    return [] if shape is None else list(places(shape))


def unwaiting(params: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters without the wait for messages: nobody sends any."""
    return {name: value for name, value in params.items() if name != "WaitTimeSeconds"}


@every_operation
@several
@given(data=st.data())
def test_what_keeps_the_model_is_answered_by_the_model(
    api: Api, service: str, name: str, data: st.DataObject
) -> None:
    """It succeeds, or fails by an error that the operation has, and never for a constraint."""
    model = operation(service, name)
    shape = model.input_shape
    params = data.draw(values(shape), "parameters") if shape is not None else {}
    answer = api.call(service, name, unwaiting(params))
    known = CHOSEN.get((service, name), set()) | {
        error.metadata.get("error", {}).get("code", error.name) for error in model.error_shapes
    }

    assert answer.code in {
        "",
        INVALID.get(service),
        *known,
        *EVERYWHERE,
        *ALSO.get(service, ()),
    }
    assert (service, name) in UNMODELLED or "validation error" not in answer.message
    assert answer.status < 500


@every_operation
def test_what_breaks_a_constraint_is_told_which(api: Api, service: str, name: str) -> None:
    """The message has the value, the place and the constraint, as AWS words them."""
    code = INVALID.get(service, "ValidationException")
    wrong = []
    for place in places_of(service, name):
        if place.in_map or is_in_path(place.shape) or place.shape.name in OPEN_ENUMS:
            continue
        for value, constraints in breaches(place):
            answer = api.call(service, name, place.fill(value))
            if (400, code) != (answer.status, answer.code) or not said(
                answer.message, place, value, constraints
            ):
                wrong.append((place.path, constraints, answer))

    assert [] == wrong


def said(message: str, place: Place, value: Any, constraints: list[str]) -> bool:
    """Tell whether a message is AWS's for these constraints.

    Lists are shown as Java shows them and long texts in part: there only the rest is compared.
    """
    sensitive = bool(place.shape.metadata.get("sensitive"))
    shown = "Value" if sensitive else f"Value '{value}'"
    if value is ...:
        shown = "Value null"
    tails = [f" at '{place.path}' failed to satisfy constraint: {text}" for text in constraints]
    if isinstance(value, list) or len(str(value)) > TEXT_SIZE_MAX:
        return all(tail in message for tail in tails)
    plural = "s" if len(constraints) > 1 else ""
    listed = "; ".join(shown + tail for tail in tails)
    return message == f"{len(constraints)} validation error{plural} detected: {listed}"


@every_json_operation
def test_a_value_of_another_kind_is_no_request(api: Api, service: str, name: str) -> None:
    """SerializationException, wherever it stands."""
    wrong = [
        (place.path, value, answer)
        for place in places_of(service, name)
        for value in WRONG_KINDS[place.shape.type_name]
        for answer in [api.call(service, name, place.fill(value))]
        if (400, "SerializationException") != (answer.status, answer.code)
    ]

    assert [] == wrong


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@every_json_operation
@several
@given(data=st.data())
def test_whatever_is_sent_is_not_the_servers_fault(
    api: Api, service: str, name: str, data: st.DataObject
) -> None:
    """A request that is right but for one place where anything stands."""
    place = data.draw(st.sampled_from(places_of(service, name)), "place")
    params = place.fill(data.draw(ANYTHING | values(place.shape), "value"))
    answer = api.call(service, name, unwaiting(params))

    assert answer.status < 500
