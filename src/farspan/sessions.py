"""Session tokens: temporary credentials that carry all that a node has to know of them.

A token is sealed with a key that follows from the cluster's secret, so that every node of every
Region opens it and none has to store it. What was not sealed here opens as nothing, whatever its
bytes. Nothing here may read a clock, and no secret may appear in a message or a repr.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TOKEN_CHARACTERS_MAX: Final = 16_384
"""Longer than any token that is given out: a session's policies have up to 2,048 characters."""

KEY_ID_CHARACTERS: Final = 16
"""Of an id after its prefix, as AWS's have them (`ASIA…`, `AROA…` has one more)."""

_PURPOSE: Final = b"farspan session token 1"
_OPENED_MAX: Final = 1_024


class SessionClaims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. Times are seconds since the epoch.

    A role's session has `role_arn`, `role_id` and `principal`; a session of a long-term key has
    that key's id as `source_key`. `policies` bound what the session may do, None by nothing more.
    """

    access_key_id: str
    secret_access_key: str
    account: str
    issued_at: float
    expires_at: float
    source_key: str | None = None
    principal: str | None = None
    user_id: str | None = None
    role_arn: str | None = None
    role_id: str | None = None
    policies: tuple[str, ...] | None = None

    def __repr__(self) -> str:
        """Return which session it is, without its secret."""
        return f"SessionClaims({self.access_key_id!r}, account={self.account!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        """Return the same for rich, which msgspec would show everything."""
        return [("access_key_id", self.access_key_id), ("account", self.account)]


_decode = msgspec.msgpack.Decoder(SessionClaims).decode
_encode = msgspec.msgpack.Encoder().encode


class TokenUnreadable(Exception):
    """The text is no session token of this deployment."""


class SessionTokens:
    """Seals and opens session tokens, and invents the credentials that go with them."""

    def __init__(self, cluster_secret: str, token: Callable[[int], bytes]) -> None:
        """Take the cluster's secret; without one, the key lives as long as the process."""
        secret = cluster_secret.encode("utf-8", "surrogatepass") or token(KEY_BYTES)
        derive = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=_PURPOSE).derive
        self._cipher = AESGCM(derive(secret))
        self._token = token
        # A session sends its token with each call.
        self.open = lru_cache(maxsize=_OPENED_MAX)(self._open)

    def seal(self, claims: SessionClaims) -> str:
        """Return the token that carries the claims."""
        nonce = self._token(NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, _encode(claims), _PURPOSE)
        return base64.b64encode(sealed).decode("ascii")

    def _open(self, text: str) -> SessionClaims:
        """Return a token's claims, which are true; they may have expired.

        Raises TokenUnreadable for anything that `seal` did not return.
        """
        if len(text) > TOKEN_CHARACTERS_MAX:
            raise TokenUnreadable
        try:
            sealed = base64.b64decode(text.encode("ascii"), validate=True)
            nonce, ciphertext = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
            return _decode(self._cipher.decrypt(nonce, ciphertext, _PURPOSE))
        except (binascii.Error, ValueError, InvalidTag, msgspec.MsgspecError):
            raise TokenUnreadable from None

    def new_id(self, prefix: str, count: int = KEY_ID_CHARACTERS) -> str:
        """Return a new id of `prefix` and that many letters and digits: `ASIA…`, `AROA…`."""
        return prefix + base64.b32encode(self._token(count)).decode("ascii")[:count]

    def new_secret(self) -> str:
        """Return a new secret access key: 40 characters, as AWS's are."""
        return base64.b64encode(self._token(30)).decode("ascii")
