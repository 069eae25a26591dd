"""Errors: every code is one that AWS's clients know."""

from __future__ import annotations

from functools import lru_cache

import pytest
from botocore.loaders import Loader

from farspan import errors
from farspan.errors import AwsError
from farspan.wire import spec

COMMON_CODES = {
    # AWS General Reference, "Common error types", and what every JSON service answers.
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InternalException",
    "InternalFailure",
    "InvalidParameterValue",
    "MissingParameter",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "RequestEntityTooLargeException",
    "SerializationException",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationError",
    "ValidationException",
}


def subclasses(error: type[AwsError]) -> list[type[AwsError]]:
    """Return every kind of error below one."""
    return [each for child in error.__subclasses__() for each in (child, *subclasses(child))]


ERRORS = [error for error in subclasses(AwsError) if error.__module__ == errors.__name__]


@lru_cache
def codes_in_models() -> set[str]:
    """Return every error code of the services that Farspan speaks, by both its names."""
    codes: set[str] = set()
    loader = Loader(include_default_search_paths=True)
    for service, version in spec.API_VERSIONS.items():
        model = loader.load_service_model(service, "service-2", api_version=version)
        for name, shape in model["shapes"].items():
            if shape.get("exception"):
                codes |= {name, shape.get("error", {}).get("code", name)}
    return codes


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_code_is_awss(error: type[AwsError]) -> None:
    """A caller's code for an error of AWS's catches ours."""
    assert error("x").code in codes_in_models() | COMMON_CODES


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_status_and_fault_agree(error: type[AwsError]) -> None:
    """A status of 5xx is the server's fault, and every other the sender's."""
    assert error.sender_fault is (400 <= error.status < 500)
    assert 400 <= error.status < 600


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_says_what_it_means(error: type[AwsError]) -> None:
    """Each kind has a sentence of its own, and carries the message that it was given."""
    assert error.__doc__ not in (None, AwsError.__doc__)
    assert (error("why").message, str(error("why"))) == ("why", "why")


def test_a_code_may_differ_from_the_name() -> None:
    """Where a service words an error otherwise, its word is the code."""
    assert errors.InvalidParameterValueException("x").code == "InvalidParameterValue"
    assert errors.ValidationException("x").code == "ValidationException"
