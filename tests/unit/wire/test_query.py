"""The query protocol: forms in, XML out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan import errors
from farspan.wire import query, rest_xml, spec
from farspan.wire.http import Request

STS = spec.service("sts")
ASSUME = STS.operations["AssumeRole"]
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def form(body: bytes | str, content_type: str = "application/x-www-form-urlencoded") -> Request:
    """Return a POST of a form."""
    return Request(
        method="POST",
        path="/",
        headers={"content-type": content_type},
        body=body.encode() if isinstance(body, str) else body,
    )


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=utf-8",
        "Application/X-WWW-Form-URLEncoded",
    ],
)
def test_a_form_is_read_from_the_body(content_type: str) -> None:
    """Blanks, plus signs, percent codes; the last of a repeated field wins."""
    fields = query.form_fields(form("Action=A&a=x+y%20%2B&empty=&Action=B", content_type))

    assert fields == {"Action": "B", "a": "x y +", "empty": ""}


def test_a_get_carries_its_form_in_the_query() -> None:
    """A GET's query is a form too."""
    request = Request(method="GET", path="/", query="Action=A&Version=1", headers={})

    assert query.form_fields(request) == {"Action": "A", "Version": "1"}


@pytest.mark.parametrize(
    "request_",
    [form("Action=A", "application/json"), form("Action=A", ""), form("&a" * 1001), form(b"")],
    ids=["json", "untyped", "too-many-fields", "empty"],
)
def test_what_is_no_form_has_no_fields(request_: Request) -> None:
    """Another content type, or a thousand and one fields, is as if nothing had been sent."""
    assert query.form_fields(request_) == {}


def test_lists_and_structures_are_put_together() -> None:
    """Lists are numbered from 1, in numeric order, gaps allowed; structures have dots."""
    body = (
        "Action=AssumeRole&Version=2011-06-15&RoleArn=r&DurationSeconds=900&Unknown=1"
        "&Tags.member.10.Key=k10&Tags.member.2.Key=k2&Tags.member.2.Value=v2"
        "&PolicyArns.member.1.arn=a&TransitiveTagKeys.member.1=t&Tags.member.x.Key=no"
    )

    assert query.decode_input(ASSUME, form(body)) == {
        "RoleArn": "r",
        "DurationSeconds": 900,
        "Tags": [{"Key": "k2", "Value": "v2"}, {"Key": "k10"}],
        "PolicyArns": [{"arn": "a"}],
        "TransitiveTagKeys": ["t"],
    }


def test_an_operation_without_input_takes_none() -> None:
    """Whatever is sent to an operation without parameters, it gets none."""
    operation = spec.Operation(
        service="sts",
        name="Nothing",
        input_shape=None,
        output_shape=None,
        http_method="POST",
        http_uri="/",
        http_status=200,
        error_codes=frozenset(),
    )

    assert query.decode_input(operation, form("Action=Nothing")) == {}
    assert query.encode_response(STS, operation, {}, "r").body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<NothingResponse xmlns="{NAMESPACE}"><ResponseMetadata><RequestId>r</RequestId>'
        "</ResponseMetadata></NothingResponse>"
    )


def test_a_value_of_the_wrong_type_is_named() -> None:
    """The message says which field, and why."""
    with pytest.raises(errors.ValidationException) as caught:
        query.decode_input(ASSUME, form("DurationSeconds=soon"))

    assert caught.value.message == (
        "The value 'soon' of DurationSeconds is not valid: it is not an integer."
    )


@given(body=st.binary(max_size=100) | st.text("ATagskmember.1=&%", max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_parameters(body: bytes | str) -> None:
    """Whatever the bytes, a form of strings decodes to something."""
    assert isinstance(query.decode_input(ASSUME, form(body)), dict)


def test_a_result_is_wrapped_twice() -> None:
    """Response, result and metadata, in the service's namespace."""
    result: dict[str, Any] = {"Account": "000000000000", "UserId": "u", "Arn": None}
    operation = STS.operations["GetCallerIdentity"]

    response = query.encode_response(STS, operation, result, "req-1")

    assert dict(response.headers) == {"x-amzn-RequestId": "req-1", "Content-Type": "text/xml"}
    assert response.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<GetCallerIdentityResponse xmlns="{NAMESPACE}"><GetCallerIdentityResult>'
        "<UserId>u</UserId><Account>000000000000</Account></GetCallerIdentityResult>"
        "<ResponseMetadata><RequestId>req-1</RequestId></ResponseMetadata>"
        "</GetCallerIdentityResponse>"
    )


def test_errors_are_those_of_rest_xml_in_another_namespace() -> None:
    """Both older protocols word errors alike."""
    response = rest_xml.encode_error(STS, errors.ExpiredTokenException("m"), "req-1")

    assert f'<ErrorResponse xmlns="{NAMESPACE}">' in response.body.decode()
