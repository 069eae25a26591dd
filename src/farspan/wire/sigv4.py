"""AWS Signature Version 4 and 4A: check a request's signature, and sign one between nodes.

The algorithms are AWS's ("Signature Version 4 signing process"; 4A's key derivation is the
counter-mode KDF of NIST SP 800-108). Only header signatures over the real body are accepted:
no presigned URLs, no unsigned or streamed payloads. Nothing here reads a clock, and no secret
may appear in a message.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote, unquote_to_bytes

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from farspan.errors import (
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)
from farspan.wire.http import Request

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

V4: Final = "AWS4-HMAC-SHA256"
V4A: Final = "AWS4-ECDSA-P256-SHA256"
Algorithm = Literal["AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"]

# AWS's documented tolerance; longer would lengthen the time in which a captured call repeats.
CLOCK_SKEW_SECONDS_MAX: Final = 300

# The order n of NIST P-256 (FIPS 186-4, D.1.2.3); a private scalar lies in [1, n-1].
P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

_TERMINATOR: Final = "aws4_request"
_ACCESS_KEY_ID: Final = re.compile(r"[A-Za-z0-9_]{1,128}")
_SCOPE_PART: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SCOPE_DATE: Final = re.compile(r"[0-9]{8}")
_HEADER_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,128}")
_AMZ_DATE: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_V4_SIGNATURE: Final = re.compile(r"[0-9a-f]{64}")
_V4A_SIGNATURE: Final = re.compile(r"(?:[0-9a-f]{2}){8,72}")  # DER of two 256-bit integers
_SIGNED_HEADERS_MAX: Final = 64
_REGION_SET_ENTRIES_MAX: Final = 64

# What changes the meaning of a request has to be signed wherever it is sent: an unsigned
# X-Amz-Target would let anyone on the way choose another operation.
_SIGNED_IF_SENT: Final = ("content-type", "x-amz-target", "x-amz-security-token")

# Headers that the connection owns, not the caller: proxies may change them.
_NEVER_SIGNED: Final = frozenset(
    {"authorization", "connection", "content-length", "expect", "transfer-encoding", "user-agent"}
)

_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. "
    "Consult the service documentation for details."
)
_PRESIGNED: Final = (
    "Presigned requests are not accepted: send the signature in the Authorization header."
)
_INVALID_TOKEN: Final = "The security token included in the request is invalid."  # noqa: S105


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """What a request's Authorization header claims. Nothing of it is proven before `verify`.

    `date` is the scope's, as `yyyymmdd`. SigV4A has no `region` in its scope; it has a
    `region_set` from its own header, which SigV4 lacks.
    """

    algorithm: Algorithm
    access_key_id: str
    date: str
    region: str | None
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    region_set: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """The credential scope, as it is signed."""
        region = () if self.region is None else (self.region,)
        return "/".join((self.date, *region, self.service, _TERMINATOR))


# --- parsing ---------------------------------------------------------------------------------


def parse_authorization(request: Request) -> Authorization:
    """Read the Authorization header.

    Raises MissingAuthenticationTokenException when there is none, IncompleteSignatureException
    when a part is missing, malformed or sent twice, InvalidSignatureException when the scope
    does not end as it must.
    """
    header = request.headers.get("authorization")
    if "X-Amz-Signature=" in request.query or "X-Amz-Algorithm=" in request.query:
        raise IncompleteSignatureException(_PRESIGNED)
    if not header:
        raise MissingAuthenticationTokenException("Missing Authentication Token")
    if "authorization" in request.repeated_headers:
        raise IncompleteSignatureException("The Authorization header must be sent once.")
    scheme, _, rest = header.partition(" ")
    algorithm = _algorithm(scheme)
    parameters = _parameters(scheme, rest)
    access_key_id, date, region, service = _credential(algorithm, parameters["Credential"])
    return Authorization(
        algorithm=algorithm,
        access_key_id=access_key_id,
        date=date,
        region=region,
        service=service,
        signed_headers=_signed_headers(parameters["SignedHeaders"]),
        signature=parameters["Signature"],
        region_set=_region_set(request.headers) if algorithm == V4A else (),
    )


def _algorithm(scheme: str) -> Algorithm:
    if scheme == V4:
        return V4
    if scheme == V4A:
        return V4A
    raise IncompleteSignatureException(
        f"Unsupported AWS 'algorithm': '{scheme[:64]}'. Use {V4} or {V4A}."
    )


def _parameters(scheme: str, rest: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        if name in parameters:
            raise IncompleteSignatureException(f"Authorization header repeats '{name[:64]}'.")
        parameters[name] = value
    missing = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not parameters.get(name)
    ]
    if missing:
        raise IncompleteSignatureException(f"{' '.join(missing)} Authorization={scheme}")
    return parameters


def _credential(algorithm: Algorithm, credential: str) -> tuple[str, str, str | None, str]:
    """Split `keyid/date[/region]/service/term`; only SigV4 has the region."""
    parts = credential.split("/")
    example = "keyid/date/region/service/term" if algorithm == V4 else "keyid/date/service/term"
    count = example.count("/") + 1
    if len(parts) != count:
        raise IncompleteSignatureException(
            f"Credential must have exactly {count} slash-delimited elements, e.g. {example}, "
            f"got '{credential[:256]}'."
        )
    access_key_id, date, *place, terminator = parts
    if not _ACCESS_KEY_ID.fullmatch(access_key_id):
        raise IncompleteSignatureException(
            "The access key id must be 1 to 128 letters, digits or underscores."
        )
    if not _SCOPE_DATE.fullmatch(date) or not all(map(_SCOPE_PART.fullmatch, place)):
        raise IncompleteSignatureException(f"Credential is malformed: it must be {example}.")
    if terminator != _TERMINATOR:
        raise InvalidSignatureException(
            f"Credential should be scoped with a valid terminator: '{_TERMINATOR}'."
        )
    return access_key_id, date, place[0] if algorithm == V4 else None, place[-1]


@lru_cache(maxsize=256)  # an SDK signs the same headers again and again
def _signed_headers(text: str) -> tuple[str, ...]:
    names = tuple(text.split(";"))
    if len(names) > _SIGNED_HEADERS_MAX or len(set(names)) != len(names):
        raise IncompleteSignatureException("SignedHeaders names too many headers, or one twice.")
    if not all(map(_HEADER_NAME.fullmatch, names)):
        raise IncompleteSignatureException("SignedHeaders must be lower-case header names.")
    return names


def _region_set(headers: Mapping[str, str]) -> tuple[str, ...]:
    value = headers.get("x-amz-region-set", "")
    entries = tuple(entry.strip() for entry in value.split(","))
    if not all(entries) or len(entries) > _REGION_SET_ENTRIES_MAX:
        raise IncompleteSignatureException(
            "A SigV4A request requires the header X-Amz-Region-Set: 1 to "
            f"{_REGION_SET_ENTRIES_MAX} Regions, separated by commas."
        )
    return entries


# --- verification ----------------------------------------------------------------------------


def verify(
    request: Request,
    authorization: Authorization,
    secret_access_key: str,
    *,
    now: float,
    service: str | None,
    region: str | None,
    session_token: str | None = None,
) -> None:
    """Return if the holder of the secret key signed exactly this request, within the last minutes.

    `now` is in epoch seconds. `service` is the signing name that the request must be scoped to;
    None accepts any. `region` is this deployment's; None accepts any, for services that are
    global (SDKs sign Route 53 and STS for various Regions). `session_token` is the one issued
    with the key, None for a long-term key.

    Raises InvalidSignatureException, IncompleteSignatureException (no usable date) or
    UnrecognizedClientException (wrong session token).
    """
    _check_signed_headers(request, authorization)
    amz_date = _check_date(request.headers, authorization, now)
    _check_scope(authorization, service, region)
    _check_session_token(request.headers, session_token)
    to_sign = _string_to_sign(
        authorization.algorithm,
        amz_date,
        authorization.scope,
        _canonical_request(request, authorization.signed_headers, _body_hash(request)),
    )
    if authorization.algorithm == V4:
        _verify_v4(authorization, secret_access_key, to_sign)
    else:
        _verify_v4a(authorization, secret_access_key, to_sign)


def _check_signed_headers(request: Request, authorization: Authorization) -> None:
    signed, sent = authorization.signed_headers, request.headers
    required = ["host", "x-amz-date"]
    if authorization.algorithm == V4A:
        required.append("x-amz-region-set")
    required += [name for name in _SIGNED_IF_SENT if name in sent]
    for name in required:
        if name not in signed:
            words = "'Host' or ':authority'" if name == "host" else f"'{name}'"
            raise InvalidSignatureException(
                f"{words} must be a 'SignedHeader' in the AWS Authorization."
            )
    for name in signed:
        if name in request.repeated_headers:
            raise InvalidSignatureException(f"The signed header '{name}' must be sent once.")
        if name not in sent and name != "x-amz-date":  # a missing date has its own words
            raise InvalidSignatureException(f"The signed header '{name}' is not in the request.")


def _check_date(headers: Mapping[str, str], authorization: Authorization, now: float) -> str:
    amz_date = headers.get("x-amz-date")
    if amz_date is None:
        raise IncompleteSignatureException(
            "Authorization header requires existence of a 'X-Amz-Date' header. "
            f"Authorization={authorization.algorithm}"
        )
    signed_at = _epoch_seconds(amz_date)
    if authorization.date != amz_date[:8]:
        raise InvalidSignatureException(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            f"HTTP: '{authorization.date}' != '{amz_date[:8]}', from '{amz_date}'."
        )
    # AWS compares whole seconds; `now` has a fraction, which must not make a second too late.
    server = int(now)
    if signed_at < server - CLOCK_SKEW_SECONDS_MAX:
        earliest, current = _amz_date(server - CLOCK_SKEW_SECONDS_MAX), _amz_date(server)
        raise InvalidSignatureException(
            f"Signature expired: {amz_date} is now earlier than {earliest} ({current} - 5 min.)"
        )
    if signed_at > server + CLOCK_SKEW_SECONDS_MAX:
        latest, current = _amz_date(server + CLOCK_SKEW_SECONDS_MAX), _amz_date(server)
        raise InvalidSignatureException(
            f"Signature not yet current: {amz_date} is still later than {latest} "
            f"({current} + 5 min.)"
        )
    return amz_date


@lru_cache(maxsize=1024)  # all calls of one second share it
def _epoch_seconds(amz_date: str) -> int:
    malformed = IncompleteSignatureException(
        f"Date must be in ISO-8601 'basic format'. Got '{amz_date[:64]}'. "
        "See http://en.wikipedia.org/wiki/ISO_8601"
    )
    if not _AMZ_DATE.fullmatch(amz_date):  # strptime alone would take shorter fields
        raise malformed
    try:
        moment = datetime.strptime(amz_date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise malformed from None
    return int(moment.timestamp())


def _amz_date(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def _check_scope(authorization: Authorization, service: str | None, region: str | None) -> None:
    if service is not None and authorization.service != service:
        raise InvalidSignatureException(
            f"Credential should be scoped to correct service: '{service}'."
        )
    if region is None:
        return
    if authorization.algorithm == V4:
        valid = authorization.region == region
    else:
        valid = any(_region_matches(entry, region) for entry in authorization.region_set)
    if not valid:
        raise InvalidSignatureException("Credential should be scoped to a valid region.")


def _region_matches(entry: str, region: str) -> bool:
    """Match one entry of a region set, in which `*` stands for any run of characters."""
    first, *rest = entry.split("*")
    if not rest:
        return entry == region
    *middle, last = rest
    if len(first) + len(last) > len(region):
        return False
    if not region.startswith(first) or not region.endswith(last):
        return False
    place, end = len(first), len(region) - len(last)
    for piece in middle:
        found = region.find(piece, place, end)
        if found < 0:
            return False
        place = found + len(piece)
    return True


def _check_session_token(headers: Mapping[str, str], session_token: str | None) -> None:
    sent = headers.get("x-amz-security-token")
    if sent is None and session_token is None:
        return
    if (
        sent is None
        or session_token is None
        or not hmac.compare_digest(_bytes(sent), _bytes(session_token))
    ):
        raise UnrecognizedClientException(_INVALID_TOKEN)


def _body_hash(request: Request) -> str:
    """Hash the bytes that will be decoded; what the caller says their hash is proves nothing."""
    real = hashlib.sha256(request.body).hexdigest()
    claimed = request.headers.get("x-amz-content-sha256", real)
    if claimed == real:
        return real
    if claimed == "UNSIGNED-PAYLOAD" or claimed.startswith("STREAMING-"):
        raise InvalidSignatureException(
            f"x-amz-content-sha256 '{claimed[:64]}' is not accepted: sign the whole body."
        )
    raise InvalidSignatureException(
        "The provided 'x-amz-content-sha256' header does not match what was computed."
    )


def _verify_v4(authorization: Authorization, secret_access_key: str, to_sign: bytes) -> None:
    assert authorization.region is not None
    key = _signing_key(
        secret_access_key, authorization.date, authorization.region, authorization.service
    )
    expected = hmac.digest(key, to_sign, "sha256").hex()
    if not _V4_SIGNATURE.fullmatch(authorization.signature) or not hmac.compare_digest(
        expected, authorization.signature
    ):
        raise InvalidSignatureException(_MISMATCH)


def _verify_v4a(authorization: Authorization, secret_access_key: str, to_sign: bytes) -> None:
    if not _V4A_SIGNATURE.fullmatch(authorization.signature):
        raise InvalidSignatureException(_MISMATCH)
    public_key = _public_key(authorization.access_key_id, secret_access_key)
    try:
        public_key.verify(bytes.fromhex(authorization.signature), to_sign, ec.ECDSA(SHA256()))
    except InvalidSignature:
        raise InvalidSignatureException(_MISMATCH) from None


# --- keys ------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _signing_key(secret_access_key: str, date: str, region: str, service: str) -> bytes:
    """Derive SigV4's key for one day, Region and service."""
    key = _bytes("AWS4" + secret_access_key)
    for part in (date, region, service, _TERMINATOR):
        key = hmac.digest(key, _bytes(part), "sha256")
    return key


def derive_v4a_scalar(access_key_id: str, secret_access_key: str) -> int:
    """Return the private scalar of an access key's SigV4A key pair.

    It depends on nothing but the key, so it is derived once: SP 800-108 in counter mode, tried
    with a growing counter until it falls below the curve's order, which the first nearly always
    does (all but 1 in 4 billion).
    """
    key = _bytes("AWS4A" + secret_access_key)
    prefix = b"\x00\x00\x00\x01" + V4A.encode() + b"\x00" + _bytes(access_key_id)
    for counter in range(1, 255):
        fixed_input = prefix + bytes((counter,)) + b"\x00\x00\x01\x00"
        candidate = int.from_bytes(hmac.digest(key, fixed_input, "sha256"), "big")
        if candidate <= P256_ORDER - 2:
            return candidate + 1
    raise AssertionError("254 counters without a key: the chance is 2 to the power of -8100")


@lru_cache(maxsize=1024)
def _public_key(access_key_id: str, secret_access_key: str) -> ec.EllipticCurvePublicKey:
    scalar = derive_v4a_scalar(access_key_id, secret_access_key)
    return ec.derive_private_key(scalar, ec.SECP256R1()).public_key()


# --- the canonical request -------------------------------------------------------------------


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # never raises, whatever a header holds


def _canonical_request(request: Request, signed_headers: Iterable[str], body_hash: str) -> bytes:
    headers = request.headers
    lines = "".join([f"{name}:{' '.join(headers[name].split())}\n" for name in signed_headers])
    uri = "/" if request.path == "/" else _canonical_uri(request.path)
    query = _canonical_query(request.query) if request.query else ""
    names = ";".join(signed_headers)
    return _bytes(f"{request.method}\n{uri}\n{query}\n{lines}\n{names}\n{body_hash}")


def _canonical_uri(path: str) -> str:
    """Normalise the path and encode it a second time: `path` comes encoded once."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            if segments:
                segments.pop()
        elif segment not in {"", "."}:
            segments.append(segment)
    joined = "/" + "/".join(segments)
    trailing = segments and path.endswith("/")  # not after a final dot, where SDKs drop it
    return quote(_bytes(joined + "/" if trailing else joined), safe="/~")


def _canonical_query(query: str) -> str:
    pairs = [
        (_encoded(name), _encoded(value))
        for name, _, value in (part.partition("=") for part in query.split("&") if part)
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _encoded(text: str) -> str:
    # A plus is the blank that form decoding makes of it. Were it kept as a plus, "%2B" could be
    # exchanged for it on the way, and change the meaning but not the signature.
    return quote(unquote_to_bytes(_bytes(text.replace("+", " "))), safe="~")


def _string_to_sign(algorithm: str, amz_date: str, scope: str, canonical_request: bytes) -> bytes:
    digest = hashlib.sha256(canonical_request).hexdigest()
    return _bytes(f"{algorithm}\n{amz_date}\n{scope}\n{digest}")


# --- signing ---------------------------------------------------------------------------------


def sign(
    request: Request,
    *,
    access_key_id: str,
    secret_access_key: str,
    region: str,
    service: str,
    now: float,
    session_token: str | None = None,
) -> dict[str, str]:
    """Return the headers to add to `request` so that it is signed with SigV4.

    `now` is in epoch seconds. Every header the request has is signed, except those that belong
    to the connection; `host` must be among them (KeyError).
    """
    amz_date = _amz_date(now)
    added = {"x-amz-date": amz_date}
    if session_token is not None:
        added["x-amz-security-token"] = session_token
    headers = {**request.headers, **added}
    names = tuple(sorted(name for name in headers if name not in _NEVER_SIGNED))
    if "host" not in names:
        raise KeyError("host")
    signed_request = Request(
        method=request.method,
        path=request.path,
        query=request.query,
        headers=headers,
        body=request.body,
    )
    body_hash = hashlib.sha256(request.body).hexdigest()
    scope = f"{amz_date[:8]}/{region}/{service}/{_TERMINATOR}"
    to_sign = _string_to_sign(
        V4, amz_date, scope, _canonical_request(signed_request, names, body_hash)
    )
    key = _signing_key(secret_access_key, amz_date[:8], region, service)
    signature = hmac.digest(key, to_sign, "sha256").hex()
    added["authorization"] = (
        f"{V4} Credential={access_key_id}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}"
    )
    return added
