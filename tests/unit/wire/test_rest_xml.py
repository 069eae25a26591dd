"""Route 53's REST-XML: routing, what is taken and refused, what is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from farspan import errors
from farspan.wire import rest_xml, spec
from farspan.wire.http import Request

ROUTE53 = spec.service("route53")
NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
CREATE = ROUTE53.operations["CreateHealthCheck"]
LIST = ROUTE53.operations["ListHealthChecks"]


def create(config: str, root: str = "CreateHealthCheckRequest") -> dict[str, Any]:
    """Decode the body of a CreateHealthCheck call."""
    body = f'<{root} xmlns="{NAMESPACE}">{config}</{root}>'.encode()
    return decode(body)


def decode(body: bytes) -> dict[str, Any]:
    """Decode bytes as the body of a CreateHealthCheck call."""
    request = Request(method="POST", path="/2013-04-01/healthcheck", headers={}, body=body)
    return rest_xml.decode_input(CREATE, request, {})


# --- routing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "operation", "parameters"),
    [
        ("POST", "/2013-04-01/healthcheck", "CreateHealthCheck", {}),
        ("GET", "/2013-04-01/healthcheck", "ListHealthChecks", {}),
        ("GET", "/2013-04-01/healthcheck/", "ListHealthChecks", {}),
        ("GET", "/2013-04-01/healthcheckcount", "GetHealthCheckCount", {}),
        ("GET", "/2013-04-01/healthcheck/a%20b", "GetHealthCheck", {"HealthCheckId": "a b"}),
        ("POST", "/2013-04-01/healthcheck/x", "UpdateHealthCheck", {"HealthCheckId": "x"}),
        ("DELETE", "/2013-04-01/healthcheck/x", "DeleteHealthCheck", {"HealthCheckId": "x"}),
        ("GET", "/2013-04-01/healthcheck/x/status", "GetHealthCheckStatus", {"HealthCheckId": "x"}),
        (
            "GET",
            "/2013-04-01/healthcheck/x/lastfailurereason",
            "GetHealthCheckLastFailureReason",
            {"HealthCheckId": "x"},
        ),
        (
            "POST",
            "/2013-04-01/tags/healthcheck/x",
            "ChangeTagsForResource",
            {"ResourceType": "healthcheck", "ResourceId": "x"},
        ),
    ],
)
def test_an_operation_is_found_by_method_and_path(
    method: str, path: str, operation: str, parameters: dict[str, str]
) -> None:
    """Fixed paths and parametrised ones are told apart, and parameters are decoded."""
    matched = rest_xml.match(ROUTE53, method, path)

    assert matched is not None
    assert (operation, parameters) == (matched[0].name, matched[1])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/2013-04-01/healthcheck"),
        ("GET", "/2013-04-01/nothing"),
        ("GET", "/2012-12-12/healthcheck"),
        ("GET", "/2013-04-01/healthcheck/x/y/z"),
    ],
)
def test_another_path_is_no_operation(method: str, path: str) -> None:
    """What the model does not have is not found."""
    assert rest_xml.match(ROUTE53, method, path) is None


# --- decoding --------------------------------------------------------------------------------


def test_values_are_of_the_models_types() -> None:
    """Integers, booleans and lists; blanks around numbers do not count, those in strings do."""
    decoded = create(
        "<CallerReference> r </CallerReference><HealthCheckConfig><Type>HTTP</Type>"
        "<Port> 80 </Port><Inverted>true</Inverted><Disabled>0</Disabled>"
        "<Regions><Region>us-east-1</Region><Other/></Regions><Unknown>1</Unknown>"
        "</HealthCheckConfig>"
    )

    assert decoded == {
        "CallerReference": " r ",
        "HealthCheckConfig": {
            "Type": "HTTP",
            "Port": 80,
            "Inverted": True,
            "Disabled": False,
            "Regions": ["us-east-1"],
        },
    }


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<CreateHealthCheckRequest/>",
        b'<x:CreateHealthCheckRequest xmlns:x="https://route53.amazonaws.com/doc/2013-04-01/"/>',
        b"<?xml version='1.0' encoding='ISO-8859-1'?><!-- c --><CreateHealthCheckRequest/>",
        b"<CreateHealthCheckRequest><!-- c --><?pi?>text</CreateHealthCheckRequest>",
    ],
)
def test_an_empty_root_has_no_parameters(body: bytes) -> None:
    """Comments, instructions, prefixes and stray text do not matter."""
    assert decode(body) == {}


def test_text_around_comments_is_kept() -> None:
    """A comment inside a value does not cut it."""
    assert create("<CallerReference>a<!-- c -->b</CallerReference>") == {"CallerReference": "ab"}


def test_an_operation_without_input_takes_none() -> None:
    """Whatever is sent to an operation without parameters, it gets none."""
    request = Request(method="GET", path="/", query="a=b", headers={}, body=b"<")
    operation = spec.Operation(
        service="route53",
        name="Nothing",
        input_shape=None,
        output_shape=None,
        http_method="GET",
        http_uri="/",
        http_status=200,
        error_codes=frozenset(),
    )

    assert rest_xml.decode_input(operation, request, {}) == {}


def test_a_header_can_carry_a_member() -> None:
    """No operation of ours has one yet; the decoder does what the protocol says."""
    string = spec.Shape(name="S", type="string", members={})
    member = spec.Member(name="M", shape=string, location="header", location_name="X-M")
    operation = spec.Operation(
        service="route53",
        name="Headed",
        input_shape=spec.Shape(name="I", type="structure", members={"M": member}),
        output_shape=None,
        http_method="GET",
        http_uri="/",
        http_status=200,
        error_codes=frozenset(),
    )
    request = Request(method="GET", path="/", headers={"x-m": "v"})

    assert rest_xml.decode_input(operation, request, {}) == {"M": "v"}
    assert rest_xml.encode_response(ROUTE53, operation, {}, "r").body == b""
    with pytest.raises(KeyError):
        rest_xml.encode_response(ROUTE53, operation, {"M": "v"}, "r")


LAUGHS = (
    b'<!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;">]>'
    b"<CreateHealthCheckRequest><CallerReference>&b;</CallerReference></CreateHealthCheckRequest>"
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<", "not well-formed XML"),
        (b"not xml", "not well-formed XML"),
        (b"<a></b>", "not well-formed XML"),
        (b"<a/><b/>", "not well-formed XML"),
        (b"<a>&undefined;</a>", "not well-formed XML"),
        (b"<a>\x00</a>", "not well-formed XML"),
        (b"\xff\xfe<", "not UTF-8"),
        ("<a/>".encode("utf-16"), "not UTF-8"),
        (LAUGHS, "document type declaration"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type declaration"),
        (b"<UpdateHealthCheckRequest/>", "root element must be CreateHealthCheckRequest, not Upd"),
        (b"<a>" * 300 + b"</a>" * 300, "not well-formed XML"),
    ],
)
def test_a_body_that_is_no_plain_xml_is_refused(body: bytes, message: str) -> None:
    """One clear sentence says why; nothing is expanded or fetched."""
    with pytest.raises(errors.InvalidInput, match=message):
        decode(body)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("<Port>http</Port>", "The value 'http' of Port is not valid: it is not an integer."),
        ("<Port>4294967296</Port>", "out of the range of an integer"),
        ("<Inverted>yes</Inverted>", "neither true nor false"),
        ("<Port><a/></Port>", "The element Port must hold text, not elements."),
        ("<Port/>", "not an integer"),
    ],
)
def test_a_value_of_the_wrong_type_is_named(config: str, message: str) -> None:
    """The message says which element, and why."""
    with pytest.raises(errors.InvalidInput) as caught:
        create(f"<HealthCheckConfig>{config}</HealthCheckConfig>")

    assert message in caught.value.message


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("string", " a ", " a "),
        ("double", " 30.5 ", 30.5),
        ("long", "-9223372036854775808", -(1 << 63)),
        ("timestamp", "2014-10-27T17:48:25.038Z", 1414432105.038),
        ("timestamp", "2014-10-27T17:48:25", 1414432105.0),
        ("blob", "AP8=", b"\x00\xff"),
    ],
)
def test_scalars_are_read(type_: str, text: str, value: Any) -> None:
    """Each type of the model has its form as text."""
    assert value == rest_xml.parse_scalar(spec.Shape(name="S", type=type_, members={}), text)


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        ("double", "x"),
        ("double", "nan"),
        ("double", "1e999"),
        ("long", "9223372036854775808"),
        ("integer", "1" * 5000),
        ("integer", "\u0661"),
        ("timestamp", "yesterday"),
        ("timestamp", "0001-01-01T00:00:00+23:59"),
        ("blob", "="),
        ("structure", "x"),
    ],
)
def test_scalars_of_another_type_are_refused(type_: str, text: str) -> None:
    """What is not of the type gives a reason, never a crash."""
    with pytest.raises(rest_xml.ScalarError) as caught:
        rest_xml.parse_scalar(spec.Shape(name="S", type=type_, members={}), text)

    assert caught.value.reason


def test_too_many_query_parameters_are_refused() -> None:
    """A query is not a place to fill memory."""
    request = Request(method="GET", path="/2013-04-01/healthcheck", query="&a" * 1001, headers={})

    with pytest.raises(errors.InvalidInput, match="more than 1000 parameters"):
        rest_xml.decode_input(LIST, request, {})


@given(
    body=st.binary(max_size=100)
    | st.text(max_size=60).map(
        lambda text: f"<CreateHealthCheckRequest>{text}</CreateHealthCheckRequest>".encode(
            "utf-8", "surrogatepass"
        )
    )
)
@settings(max_examples=200, deadline=None)
def test_any_bytes_give_parameters_or_an_aws_error(body: bytes) -> None:
    """Whatever the bytes, decoding raises nothing but InvalidInput."""
    try:
        decoded = decode(body)
    except errors.InvalidInput as error:
        assert error.message  # noqa: PT017 (both outcomes are right)
    else:
        assert isinstance(decoded, dict)


# --- encoding --------------------------------------------------------------------------------


def test_a_created_check_has_its_location() -> None:
    """201, the Location header, the namespace, the model's order, ids and numbers as text."""
    config = {"Port": 80, "Type": "TCP", "Disabled": False, "Regions": ["us-east-1"]}
    check = {
        "HealthCheckVersion": 1,
        "Id": "i",
        "CallerReference": "r",
        "HealthCheckConfig": config,
        "LinkedService": None,
    }

    response = rest_xml.encode_response(
        ROUTE53, CREATE, {"HealthCheck": check, "Location": "http://l/i"}, "req-1"
    )

    assert response.status == 201
    assert dict(response.headers) == {
        "x-amzn-RequestId": "req-1",
        "Content-Type": "text/xml",
        "Location": "http://l/i",
    }
    assert response.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<CreateHealthCheckResponse xmlns="{NAMESPACE}"><HealthCheck><Id>i</Id>'
        "<CallerReference>r</CallerReference><HealthCheckConfig><Port>80</Port><Type>TCP</Type>"
        "<Disabled>false</Disabled><Regions><Region>us-east-1</Region></Regions>"
        "</HealthCheckConfig><HealthCheckVersion>1</HealthCheckVersion></HealthCheck>"
        "</CreateHealthCheckResponse>"
    )


def test_timestamps_have_milliseconds() -> None:
    """ISO 8601, in UTC, to the millisecond."""
    report = {"Status": "Success", "CheckedTime": 1414432105.038}
    response = rest_xml.encode_response(
        ROUTE53,
        ROUTE53.operations["GetHealthCheckStatus"],
        {"HealthCheckObservations": [{"StatusReport": report}]},
        "r",
    )

    assert b"<CheckedTime>2014-10-27T17:48:25.038Z</CheckedTime>" in response.body


def test_blobs_are_written_as_base64() -> None:
    """No operation of ours returns one yet; the encoder does what the protocol says."""
    blob = spec.Member(name="B", shape=spec.Shape(name="S", type="blob", members={}))
    root = etree.Element("R")

    rest_xml.append_structure(
        root, spec.Shape(name="R", type="structure", members={"B": blob}), {"B": b"\x00\xff"}
    )

    assert etree.tostring(root) == b"<R><B>AP8=</B></R>"


def test_characters_that_xml_cannot_carry_are_replaced() -> None:
    """A stored control character does not make a resource unreadable."""
    check = {"CallerReference": "a\x00b\ud800\U0001f600<&>"}
    response = rest_xml.encode_response(ROUTE53, CREATE, {"HealthCheck": check}, "r")

    assert "a\ufffdb\ufffd\U0001f600&lt;&amp;&gt;" in response.body.decode()


@pytest.mark.parametrize("result", [{"HealthChek": {}}, {"HealthCheck": {"ID": "typo"}}])
def test_a_member_that_the_model_lacks_is_a_key_error(result: dict[str, Any]) -> None:
    """A typo in a result is found by the first test that sees it."""
    with pytest.raises(KeyError):
        rest_xml.encode_response(ROUTE53, CREATE, result, "r")


# --- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "fault", "code"),
    [
        (errors.NoSuchHealthCheck("m"), 404, "Sender", "NoSuchHealthCheck"),
        (errors.HealthCheckAlreadyExists("m"), 409, "Sender", "HealthCheckAlreadyExists"),
        (errors.InvalidInput("m"), 400, "Sender", "InvalidInput"),
        (errors.ValidationException("m"), 400, "Sender", "ValidationError"),
        (errors.InvalidSignatureException("m"), 403, "Sender", "SignatureDoesNotMatch"),
        (errors.UnrecognizedClientException("m"), 403, "Sender", "InvalidClientTokenId"),
        (errors.AccessDeniedException("m"), 403, "Sender", "AccessDenied"),
        (errors.InternalException("m"), 500, "Receiver", "InternalFailure"),
        (errors.ServiceUnavailableException("m"), 503, "Receiver", "ServiceUnavailable"),
        (errors.RequestEntityTooLargeException("m"), 413, "Sender", "RequestEntityTooLarge"),
    ],
)
def test_an_error_has_the_code_of_the_older_protocols(
    error: errors.AwsError, status: int, fault: str, code: str
) -> None:
    """The XML services name the common errors in their own way."""
    response = rest_xml.encode_error(ROUTE53, error, "req-1")

    assert status == response.status
    assert response.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>{fault}</Type><Code>{code}</Code>'
        "<Message>m</Message></Error><RequestId>req-1</RequestId></ErrorResponse>"
    )


def test_an_error_message_can_hold_anything() -> None:
    """A message that echoes what a caller sent is still XML."""
    response = rest_xml.encode_error(ROUTE53, errors.InvalidInput("a\x00<b>"), "r")

    assert b"<Message>a\xef\xbf\xbd&lt;b&gt;</Message>" in response.body
