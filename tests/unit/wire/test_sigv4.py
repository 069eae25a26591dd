"""SigV4 and SigV4A: known answers, SDK signers as clients, and every way to tamper."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import awscrt.auth
import awscrt.http
import awscrt.io
import botocore.auth
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from farspan import errors
from farspan.wire import sigv4
from farspan.wire.http import Request

SIGNED_AT = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
NOW = SIGNED_AT.timestamp()
KEY_ID = "AKISORANDOMAASORANDOM"
SECRET = "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom"
BODY = (
    b'{"Entries": [{"Source": "a.b", "DetailType": "t", "Detail": "{}", '
    b'"EventBusName": "orders"}], "EndpointId": "abcde.veo"}'
)
HOST = "abcde.veo.endpoint.events.amazonaws.com"
PLAIN_HEADERS = {
    "content-type": "application/x-amz-json-1.1",
    "host": HOST,
    "x-amz-target": "AWSEvents.PutEvents",
}
KNOWN_SIGNATURE = (
    "3046022100e4ba46051fe795ed0435576e29f7616d3cd4e1258aad50ee1d2caa3142d29027"
    "022100d1f76866ef91e929ed266d504f02d204848f7c7477cb393ec4a92c8a267f3c6d"
)
KNOWN_TOKEN_SIGNATURE = (
    "304402206c10f22371e205c0294c536446efc20c5f458a30d8ab796cdcbc492449b0c193"
    "02206b1b3de38abdf516e056fdc238116a2c3d141ebbd8adb684b15c848afdbf95f2"
)
MISMATCH = "The request signature we calculated does not match the signature you provided."

KNOWN_KEYS = [
    (
        KEY_ID,
        SECRET,
        "7fd3bd010c0d9c292141c2b77bfbde1042c92e6836fff749d1269ec890fca1bd",
        "15d242ceebf8d8169fd6a8b5a746c41140414c3b07579038da06af89190fffcb",
        "0515242cedd82e94799482e4c0514b505afccf2c0c98d6a553bf539f424c5ec0",
    ),
    (
        "AKIDEXAMPLE",
        "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        "7efc8c0e65a324242818c5a50c891c6060b6a00717b7ba3cbe3c5d765be9259c",
        "b6618f6a65740a99e650b33b6b4b5bd0d43b176d721a3edfea7e7d2d56d936b1",
        "865ed22a7eadc9c5cb9d2cbaca1b3699139fedc5043dc6661864218330c8e518",
    ),
    (
        "AKIAIOSFODNN7EXAMPLE",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "04c4d39191ae06f37a86b873d2f9951f7c37621d69e0eb834fb622c368f360c3",
        "18b7d04643359f6ec270dcbab8dce6d169d66ddc9778c75cfb08dfdb701637ab",
        "fa36b35e4fe67e3112261d2e17a956ef85b06e44712d2850bcd3c2161e9993f2",
    ),
    (
        "test",
        "test",
        "6bdbf18750e8be5f5e34a7f8b51326d604cd47bbd7e2d614d6ecec59e9c7f7d4",
        "92450df2993797e4088d01c2ccc849896df6963e291ea49869e64838cf740b91",
        "731d513c2720877475106c4ce877993f1ebeee593324e5964be80ae84781975a",
    ),
]


# --- the other side: SDK signers -------------------------------------------------------------


def plain_request(**changes: Any) -> Request:
    """Return the known request, not signed yet."""
    fields: dict[str, Any] = {"method": "POST", "path": "/", "headers": PLAIN_HEADERS, "body": BODY}
    return Request(**fields | changes)


@pytest.fixture(autouse=True)
def _fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def now(*, remove_tzinfo: bool = True) -> datetime:
        return SIGNED_AT.replace(tzinfo=None) if remove_tzinfo else SIGNED_AT

    monkeypatch.setattr(botocore.auth, "get_current_datetime", now)


def botocore_signed(
    request: Request,
    *,
    token: str | None = None,
    region: str = "us-east-1",
    service: str = "events",
) -> Request:
    """Sign with botocore's SigV4, as boto3 does."""
    query = f"?{request.query}" if request.query else ""
    url = f"http://{request.headers['host']}{request.path}{query}"
    made = AWSRequest(
        method=request.method, url=url, data=request.body, headers=dict(request.headers)
    )
    SigV4Auth(Credentials(KEY_ID, SECRET, token), service, region).add_auth(made)
    headers = {name.lower(): value for name, value in made.headers.items()}
    return replace(request, headers=headers)


def crt_signed(
    request: Request, *, token: str | None = None, region_set: str = "*", service: str = "events"
) -> Request:
    """Sign with the AWS CRT's SigV4A, as boto3 does when an EndpointId is given."""
    made = awscrt.http.HttpRequest(
        request.method,
        request.path + (f"?{request.query}" if request.query else ""),
        awscrt.http.HttpHeaders(list(request.headers.items())),
        body_stream=_stream(request.body),
    )
    config = awscrt.auth.AwsSigningConfig(
        algorithm=awscrt.auth.AwsSigningAlgorithm.V4_ASYMMETRIC,
        signature_type=awscrt.auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=awscrt.auth.AwsCredentialsProvider.new_static(KEY_ID, SECRET, token),
        region=region_set,
        service=service,
        date=SIGNED_AT,
        use_double_uri_encode=True,
        should_normalize_uri_path=True,
        signed_body_header_type=awscrt.auth.AwsSignedBodyHeaderType.NONE,
    )
    signed = awscrt.auth.aws_sign_request(made, config).result(10)
    headers = {name.lower(): value for name, value in signed.headers}
    return replace(request, headers=headers)


def _stream(body: bytes) -> Any:
    return io.BytesIO(body)


def known_request(signature: str = KNOWN_SIGNATURE, token: str | None = None) -> Request:
    """Return the known SigV4A request of the notes, with its recorded signature."""
    names = ["content-type", "host", "x-amz-date", "x-amz-region-set"]
    headers = PLAIN_HEADERS | {"x-amz-date": "20261123T120000Z", "x-amz-region-set": "*"}
    if token is not None:
        headers["x-amz-security-token"] = token
        names.append("x-amz-security-token")
    names.append("x-amz-target")
    headers["authorization"] = (
        f"AWS4-ECDSA-P256-SHA256 Credential={KEY_ID}/20261123/events/aws4_request, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return plain_request(headers=headers)


def verify(request: Request, **changes: Any) -> None:
    """Verify as a deployment in us-east-1 does."""
    arguments = {"now": NOW, "service": "events", "region": "us-east-1", "session_token": None}
    authorization = sigv4.parse_authorization(request)
    secret = changes.pop("secret", SECRET)
    sigv4.verify(request, authorization, secret, **arguments | changes)


SIGNERS = pytest.mark.parametrize("signed", [botocore_signed, crt_signed], ids=["v4", "v4a"])


# --- known answers ---------------------------------------------------------------------------


@pytest.mark.parametrize(("key_id", "secret", "scalar", "x", "y"), KNOWN_KEYS)
def test_a_key_pair_is_derived_as_aws_derives_it(
    key_id: str, secret: str, scalar: str, x: str, y: str
) -> None:
    """The private scalar and the public point are those of the recorded key pairs."""
    derived = sigv4.derive_v4a_scalar(key_id, secret)
    numbers = ec.derive_private_key(derived, ec.SECP256R1()).public_key().public_numbers()

    assert (int(scalar, 16), int(x, 16), int(y, 16)) == (derived, numbers.x, numbers.y)


def test_a_key_beyond_the_curves_order_is_derived_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter grows until the candidate fits; a lower order makes that happen at once."""
    first = sigv4.derive_v4a_scalar("test", "test")
    monkeypatch.setattr(sigv4, "P256_ORDER", first)
    second = sigv4.derive_v4a_scalar("test", "test")

    assert 0 < second < first


def test_a_key_is_not_derived_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """One byte of counter is all there is."""
    monkeypatch.setattr(sigv4, "P256_ORDER", 1)

    with pytest.raises(AssertionError):
        sigv4.derive_v4a_scalar("test", "test")


def test_the_known_v4a_request_is_accepted() -> None:
    """The recorded signature of the recorded request holds."""
    verify(known_request())


def test_the_known_v4a_request_with_a_token_is_accepted() -> None:
    """With a session token, which is signed too, the recorded signature holds."""
    request = known_request(KNOWN_TOKEN_SIGNATURE, token="SESSIONTOKEN==")

    verify(request, session_token="SESSIONTOKEN==")


def test_the_example_of_the_aws_documentation_is_accepted() -> None:
    """The worked example of AWS's signing documentation (IAM ListUsers) verifies."""
    signature = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    request = Request(
        method="GET",
        path="/",
        query="Action=ListUsers&Version=2010-05-08",
        headers={
            "content-type": "application/x-www-form-urlencoded; charset=utf-8",
            "host": "iam.amazonaws.com",
            "x-amz-date": "20150830T123600Z",
            "authorization": "AWS4-HMAC-SHA256 "
            "Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
            f"SignedHeaders=content-type;host;x-amz-date, Signature={signature}",
        },
    )

    verify(
        request,
        secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        now=datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp(),
        service="iam",
    )


# --- what SDKs send --------------------------------------------------------------------------


@SIGNERS
@pytest.mark.parametrize("token", [None, "SESSIONTOKEN=="])
def test_what_an_sdk_signs_is_accepted(signed: Any, token: str | None) -> None:
    """Botocore's SigV4 and the CRT's SigV4A verify, with and without a session token."""
    verify(signed(plain_request(), token=token), session_token=token)


@SIGNERS
@pytest.mark.parametrize(
    "url",
    [
        "/2013-04-01/healthcheck?marker=a%20b&maxitems=3",
        "/2013-04-01/healthcheck/a%2Fb%20c%C3%A9~-_.",
        "/000000000000/q.fifo",
        "/a/b/?z=1&a=%2B&a=%20",
        "/?flag&empty=",
    ],
)
def test_paths_and_queries_are_canonical_as_sdks_make_them(signed: Any, url: str) -> None:
    """The path is encoded a second time and the query sorted, whatever they hold."""
    parts = urlsplit(url)
    request = plain_request(method="GET", path=parts.path, query=parts.query, body=b"")

    verify(signed(request))


@SIGNERS
@pytest.mark.parametrize("path", ["//a/./b/../c", "/a/b/..", "/..", "/a/.", "/a//"])
def test_paths_are_normalised(signed: Any, path: str) -> None:
    """Dots and empty segments are resolved before the path is signed."""
    verify(signed(plain_request(path=path)))


def test_a_plus_is_not_mistaken_for_its_code() -> None:
    """Form decoding reads a plus as a blank, so the two must not share a signature."""
    request = botocore_signed(plain_request(method="GET", query="a=%2B", body=b""))
    verify(request)

    with pytest.raises(errors.InvalidSignatureException, match=MISMATCH):
        verify(replace(request, query="a=+"))


def test_spaces_in_headers_are_folded() -> None:
    """Blanks around and inside a signed header's value do not matter."""
    headers = PLAIN_HEADERS | {"x-amz-meta": "  a   b  "}

    verify(botocore_signed(plain_request(headers=headers)))


def test_commas_without_spaces_are_read() -> None:
    """Some SDKs separate the parameters by a comma alone."""
    request = botocore_signed(plain_request())
    authorization = request.headers["authorization"].replace(", ", ",")

    verify(replace(request, headers={**request.headers, "authorization": authorization}))


def test_a_true_content_hash_is_accepted() -> None:
    """A client may send x-amz-content-sha256 if it is that of the body."""
    headers = PLAIN_HEADERS | {"x-amz-content-sha256": hashlib.sha256(BODY).hexdigest()}

    verify(botocore_signed(plain_request(headers=headers)))


def test_service_and_region_are_not_checked_when_none() -> None:
    """A global service accepts whatever Region an SDK signs for."""
    verify(botocore_signed(plain_request(), region="eu-west-1"), service=None, region=None)


# --- tampering -------------------------------------------------------------------------------


def _without(name: str) -> Any:
    return lambda request: replace(
        request, headers={key: value for key, value in request.headers.items() if key != name}
    )


def _with(name: str, value: str) -> Any:
    return lambda request: replace(request, headers={**request.headers, name: value})


def _authorization(old: str, new: str) -> Any:
    def change(request: Request) -> Request:
        text = request.headers["authorization"]
        assert old in text
        return _with("authorization", text.replace(old, new))(request)

    return change


TAMPERINGS = {
    "method": lambda request: replace(request, method="PUT"),
    "path": lambda request: replace(request, path="/x"),
    "query": lambda request: replace(request, query="a=b"),
    "body": lambda request: replace(request, body=request.body + b" "),
    "no-body": lambda request: replace(request, body=b""),
    "host": _with("host", "elsewhere"),
    "no-host": _without("host"),
    "target": _with("x-amz-target", "AWSEvents.DeleteEventBus"),
    "no-target": _without("x-amz-target"),
    "content-type": _with("content-type", "text/plain"),
    "date": _with("x-amz-date", "20261123T120001Z"),
    "new-token": _with("x-amz-security-token", "t"),
    "repeated-target": lambda request: replace(
        request, repeated_headers=frozenset({"x-amz-target"})
    ),
    "unsigned-target": _authorization(";x-amz-target", ""),
    "unsigned-host": _authorization("host;", ""),
    "unsigned-content-type": _authorization("content-type;", ""),
    "unsigned-date": _authorization("x-amz-date;", ""),
    "scope-date": _authorization("/20261123/", "/20261124/"),
    "scope-service": _authorization("/events/", "/sqs/"),
    "terminator": _authorization("aws4_request", "aws5_request"),
    "false-content-hash": _with("x-amz-content-sha256", "0" * 64),
    "unsigned-payload": _with("x-amz-content-sha256", "UNSIGNED-PAYLOAD"),
    "streaming": _with("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
    "upper-case-signature": lambda request: _with(
        "authorization",
        request.headers["authorization"].partition("Signature=")[0]
        + "Signature="
        + request.headers["authorization"].partition("Signature=")[2].upper(),
    )(request),
}


@SIGNERS
@pytest.mark.parametrize("tamper", TAMPERINGS.values(), ids=TAMPERINGS)
def test_a_request_changed_on_the_way_is_refused(signed: Any, tamper: Any) -> None:
    """A change to anything that is signed, or to the list of what is, invalidates the request."""
    request = signed(plain_request())
    verify(request)

    with pytest.raises(
        (errors.InvalidSignatureException, errors.UnrecognizedClientException),
    ):
        verify(tamper(request))


def test_a_v4a_signature_holds_for_its_access_key_id_only() -> None:
    """SigV4A's key pair is derived from the access key id too."""
    with pytest.raises(errors.InvalidSignatureException, match=MISMATCH):
        verify(_authorization(KEY_ID, "AKOTHER")(known_request()))


@SIGNERS
def test_the_wrong_secret_is_refused(signed: Any) -> None:
    """Only the holder of the secret key can sign."""
    with pytest.raises(errors.InvalidSignatureException, match=MISMATCH):
        verify(signed(plain_request()), secret="another")


@given(position=st.integers(0, 63), digit=st.sampled_from("0123456789abcdef"))
@settings(max_examples=50, deadline=None)
def test_a_v4_signature_with_another_digit_is_refused(position: int, digit: str) -> None:
    """No single digit of the signature can differ."""
    headers = sigv4.sign(
        plain_request(),
        access_key_id=KEY_ID,
        secret_access_key=SECRET,
        region="us-east-1",
        service="events",
        now=NOW,
    )
    request = plain_request(headers=PLAIN_HEADERS | headers)
    head, _, signature = headers["authorization"].partition("Signature=")
    changed = signature[:position] + digit + signature[position + 1 :]
    request = _with("authorization", f"{head}Signature={changed}")(request)

    if changed == signature:
        verify(request)
    else:
        with pytest.raises(errors.InvalidSignatureException, match=MISMATCH):
            verify(request)


@given(body=st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_a_v4a_signature_holds_for_one_body_only(body: bytes) -> None:
    """The recorded signature holds for no other body."""
    request = replace(known_request(), body=body)

    with pytest.raises(errors.InvalidSignatureException, match=MISMATCH):
        verify(request)


@pytest.mark.parametrize("signature", ["00", "zz" * 70, "3046", "30" * 72, "ab" * 100])
def test_a_v4a_signature_that_is_no_der_is_refused(signature: str) -> None:
    """Broken encodings are a mismatch, not a crash."""
    with pytest.raises(errors.InvalidSignatureException, match=MISMATCH):
        verify(known_request(signature))


# --- scope -----------------------------------------------------------------------------------


def test_another_region_is_refused() -> None:
    """A SigV4 request for another Region does not count here."""
    message = "Credential should be scoped to a valid region."
    with pytest.raises(errors.InvalidSignatureException, match=message):
        verify(botocore_signed(plain_request(), region="eu-west-1"))


@SIGNERS
def test_another_service_is_refused(signed: Any) -> None:
    """A request signed for another service does not count here."""
    message = "Credential should be scoped to correct service: 'events'."
    with pytest.raises(errors.InvalidSignatureException, match=message):
        verify(signed(plain_request(), service="sqs"))


@pytest.mark.parametrize(
    ("region_set", "valid"),
    [
        ("*", True),
        ("us-east-1", True),
        ("eu-west-1,us-east-1", True),
        ("eu-west-1, us-*", True),
        ("us-*-1", True),
        ("*-east-*", True),
        ("us-east-1*", True),
        ("us-west-2", False),
        ("us-east", False),
        ("us-east-1*1", False),
        ("*-west-*", False),
        ("us-*-2", False),
        ("eu-*", False),
        ("*east*east*", False),
    ],
)
def test_a_region_set_has_to_cover_this_region(region_set: str, *, valid: bool) -> None:
    """Entries of X-Amz-Region-Set are exact or hold asterisks; one has to fit."""
    request = crt_signed(plain_request(), region_set=region_set)

    if valid:
        verify(request)
    else:
        with pytest.raises(errors.InvalidSignatureException, match="scoped to a valid region"):
            verify(request)


def test_an_unsigned_region_set_is_refused() -> None:
    """SigV4A's region set decides where a request counts, so it has to be signed."""
    with pytest.raises(errors.InvalidSignatureException, match="'x-amz-region-set' must be"):
        verify(_authorization(";x-amz-region-set", "")(known_request()))


@pytest.mark.parametrize("region_set", [None, "", ",", ",".join(["us-east-1"] * 65)])
def test_a_missing_or_broken_region_set_is_incomplete(region_set: str | None) -> None:
    """SigV4A without a usable region set lacks a part."""
    change = _without("x-amz-region-set")
    change = change if region_set is None else _with("x-amz-region-set", region_set)

    with pytest.raises(errors.IncompleteSignatureException, match="X-Amz-Region-Set"):
        verify(change(known_request()))


# --- time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [-300, 0, 300, 300.9])
def test_five_minutes_of_skew_are_tolerated(seconds: float) -> None:
    """Clocks may differ by five minutes, either way."""
    verify(botocore_signed(plain_request()), now=NOW + seconds)


def test_an_old_signature_has_expired() -> None:
    """Five minutes and a second after it was signed, a request is refused in AWS's words."""
    with pytest.raises(errors.InvalidSignatureException) as caught:
        verify(botocore_signed(plain_request()), now=NOW + 301)

    assert caught.value.message == (
        "Signature expired: 20261123T120000Z is now earlier than 20261123T120001Z "
        "(20261123T120501Z - 5 min.)"
    )


def test_a_signature_from_the_future_is_not_yet_current() -> None:
    """Five minutes and a second before it was signed, a request is refused in AWS's words."""
    with pytest.raises(errors.InvalidSignatureException) as caught:
        verify(botocore_signed(plain_request()), now=NOW - 301)

    assert caught.value.message == (
        "Signature not yet current: 20261123T120000Z is still later than 20261123T115959Z "
        "(20261123T115459Z + 5 min.)"
    )


@pytest.mark.parametrize(
    "date",
    ["", "Mon, 23 Nov 2026 12:00:00 GMT", "2026-11-23T12:00:00Z", "20261323T120000Z", "2026112T1Z"],
)
def test_a_date_in_another_format_is_incomplete(date: str) -> None:
    """X-Amz-Date is ISO 8601's basic format and nothing else."""
    with pytest.raises(errors.IncompleteSignatureException, match="'basic format'"):
        verify(_with("x-amz-date", date)(botocore_signed(plain_request())))


def test_a_missing_date_is_incomplete() -> None:
    """Without X-Amz-Date there is nothing to measure the age by."""
    with pytest.raises(errors.IncompleteSignatureException, match="'X-Amz-Date' header"):
        verify(_without("x-amz-date")(botocore_signed(plain_request())))


# --- session tokens --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "issued"), [("a", "b"), ("a", None), (None, "b"), ("a", "ab"), ("\u00e9", "b")]
)
def test_a_wrong_session_token_is_not_recognised(sent: str | None, issued: str | None) -> None:
    """The token has to be the one issued with the key, and none for a long-term key."""
    with pytest.raises(errors.UnrecognizedClientException, match="security token"):
        verify(botocore_signed(plain_request(), token=sent), session_token=issued)


# --- the header ------------------------------------------------------------------------------


def test_an_unsigned_request_misses_its_token() -> None:
    """No Authorization header: AWS's own words."""
    with pytest.raises(errors.MissingAuthenticationTokenException) as caught:
        verify(plain_request())

    assert caught.value.message == "Missing Authentication Token"


GOOD = (
    "AWS4-HMAC-SHA256 Credential=AK/20261123/us-east-1/events/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=" + "0" * 64
)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("AWS4-HMAC-SHA256", "requires 'Credential' parameter. Authorization header requires"),
        ("Basic dXNlcg==", "Unsupported AWS 'algorithm': 'Basic'"),
        (GOOD.replace("Signature=", "Sig="), "requires 'Signature' parameter"),
        (GOOD.replace("SignedHeaders=", "X="), "requires 'SignedHeaders' parameter"),
        (GOOD.replace("/us-east-1", ""), "exactly 5 slash-delimited elements"),
        (GOOD.replace("HMAC", "ECDSA-P256"), "exactly 4 slash-delimited elements"),
        (GOOD.replace("=AK/", "=A-K/"), "access key id must be"),
        (GOOD.replace("=AK/", "=" + "A" * 129 + "/"), "access key id must be"),
        (GOOD.replace("/20261123/", "/2026112/"), "Credential is malformed"),
        (GOOD.replace("us-east-1", ""), "Credential is malformed"),
        (GOOD + ", Signature=1", "repeats 'Signature'"),
        (GOOD.replace("host;", "Host;"), "lower-case header names"),
        (GOOD.replace("host;", "host;host;"), "or one twice"),
        (GOOD.replace("host;", ";".join(f"h{i}" for i in range(65))), "too many headers"),
    ],
)
def test_an_incomplete_header_is_refused_with_what_is_missing(header: str, message: str) -> None:
    """Each part that is missing or malformed is named."""
    header = header.replace("AWS4-ECDSA-P256-SHA256", sigv4.V4A)

    with pytest.raises(errors.IncompleteSignatureException) as caught:
        sigv4.parse_authorization(plain_request(headers={"authorization": header}))

    assert message in caught.value.message


def test_two_authorization_headers_are_refused() -> None:
    """Which of two would count is not for us to choose."""
    request = plain_request(
        headers={"authorization": GOOD}, repeated_headers=frozenset({"authorization"})
    )

    with pytest.raises(errors.IncompleteSignatureException, match="must be sent once"):
        sigv4.parse_authorization(request)


def test_a_presigned_request_is_refused() -> None:
    """A URL that anyone may pass on is no proof of who calls."""
    query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00"

    with pytest.raises(errors.IncompleteSignatureException, match="Presigned"):
        sigv4.parse_authorization(plain_request(query=query))


@given(header=st.text(max_size=300) | st.text(max_size=40).map(lambda part: GOOD + part))
@settings(max_examples=200, deadline=None)
def test_a_garbage_header_gives_an_aws_error(header: str) -> None:
    """Whatever the header holds, parsing and verifying raise nothing but AwsError."""
    request = plain_request(
        headers=PLAIN_HEADERS | {"authorization": header, "x-amz-date": header[:16]}
    )

    with pytest.raises(errors.AwsError):
        verify(request)


# --- our own signer --------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "TOKEN"])
def test_our_signer_agrees_with_botocore(token: str | None) -> None:
    """Our SigV4 signer makes the signature that botocore makes."""
    request = plain_request(path="/a%20b", query="z=1&a=%20")

    headers = sigv4.sign(
        request,
        access_key_id=KEY_ID,
        secret_access_key=SECRET,
        region="us-east-1",
        service="events",
        now=NOW + 0.9,
        session_token=token,
    )

    expected = botocore_signed(request, token=token).headers
    assert {name: expected[name] for name in headers} == headers


def test_our_signer_signs_every_header_but_the_connections() -> None:
    """Headers that a proxy may change stay unsigned; the caller's own do not."""
    headers = {"host": "b", "x-farspan-generation": "7", "user-agent": "u", "connection": "close"}

    signed = sigv4.sign(
        plain_request(headers=headers),
        access_key_id="farspan",
        secret_access_key="s",
        region="us-east-1",
        service="farspan",
        now=NOW,
    )

    assert "SignedHeaders=host;x-amz-date;x-farspan-generation," in signed["authorization"]


def test_our_signer_needs_the_host() -> None:
    """A signature that does not name its host could be replayed elsewhere."""
    with pytest.raises(KeyError):
        sigv4.sign(
            plain_request(headers={}),
            access_key_id="farspan",
            secret_access_key="s",
            region="us-east-1",
            service="farspan",
            now=NOW,
        )
