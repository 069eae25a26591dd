"""Seals secrets, so that the store, its backups and its log never hold one in the clear.

Each secret is encrypted with a data key of its own (AES-256-GCM), and the data key with the key of
the deployment. Both are bound to whose secret it is and to its version, so that a sealed secret
that was moved to another resource, or put back from the past, does not open.

The deployment's key is `FARSPAN_SECRETS_KEY` (32 bytes in base64), or else the file `secrets.key`
in the Region's data directory, made at the first start. Either may hold several keys, separated by
commas or blanks: the first seals, all of them open. To rotate, put a new key in front and restart:
every secret is rewrapped under it, and the former key may go. Nothing here may log a secret or a
key, or put one into an error.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from farspan.store.base import StoreUnusable

KEY_BYTES = 32
NONCE_BYTES = 12  # NIST SP 800-38D: what GCM is made for
KEY_ID_BYTES = 8
KEY_VARIABLE = "FARSPAN_SECRETS_KEY"
KEY_FILE_NAME = "secrets.key"
HOW_TO_MAKE_ONE = "`openssl rand -base64 32` makes one"


class SecretsUnusable(StoreUnusable):
    """The key that opens the store's secrets is not there; the message says what to do."""


class SecretUnreadable(Exception):
    """A sealed secret does not open: another key, another resource, or damaged."""


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    """A sealed secret as bytes: the data key, wrapped by the key of that id, and the rest."""

    format: int
    key_id: bytes
    wrapping_nonce: bytes
    wrapped_key: bytes
    nonce: bytes
    ciphertext: bytes


class Sealer:
    """Seals and opens secrets. The first key seals, all of them open.

    `token` returns unpredictable bytes, as `IdSource.token` does.
    """

    def __init__(self, keys: Sequence[bytes], token: Callable[[int], bytes]) -> None:
        assert keys, "a sealer has a key"
        assert all(len(key) == KEY_BYTES for key in keys), f"keys have {KEY_BYTES} bytes"
        self._keys = {_id_of(key): AESGCM(key) for key in keys}
        self._current = _id_of(keys[0])
        self._token = token

    def seal(self, secret: bytes, *, arn: str, version: int) -> bytes:
        """Return the secret sealed, as a version of the secret of the resource `arn`."""
        data_key, nonce = self._token(KEY_BYTES), self._token(NONCE_BYTES)
        bound_to = _bound_to(arn, version)
        ciphertext = AESGCM(data_key).encrypt(nonce, secret, bound_to)
        return self._wrap(data_key, nonce, ciphertext, bound_to)

    def open(self, sealed: bytes, *, arn: str, version: int) -> bytes:
        """Return the secret. Raises SecretUnreadable unless all is as it was sealed."""
        parts = _parts(sealed)
        bound_to = _bound_to(arn, version)
        try:
            data_key = self._unwrap(parts, bound_to)
            return AESGCM(data_key).decrypt(parts.nonce, parts.ciphertext, bound_to)
        except (InvalidTag, ValueError) as error:
            raise _unreadable() from error

    def rewrap(self, sealed: bytes, *, arn: str, version: int) -> bytes:
        """Return the same sealed secret with its data key wrapped by the current key."""
        parts = _parts(sealed)
        bound_to = _bound_to(arn, version)
        try:
            data_key = self._unwrap(parts, bound_to)
        except (InvalidTag, ValueError) as error:
            raise _unreadable() from error
        return self._wrap(data_key, parts.nonce, parts.ciphertext, bound_to)

    def is_current(self, sealed: bytes) -> bool:
        """Tell whether the current key wraps it, so that it need not be rewrapped."""
        return _parts(sealed).key_id == self._current

    def has_key_of(self, sealed: bytes) -> bool:
        """Tell whether one of the keys wraps it."""
        return _parts(sealed).key_id in self._keys

    def _wrap(self, data_key: bytes, nonce: bytes, ciphertext: bytes, bound_to: bytes) -> bytes:
        wrapping_nonce = self._token(NONCE_BYTES)
        return msgspec.msgpack.encode(
            _Sealed(
                format=1,
                key_id=self._current,
                wrapping_nonce=wrapping_nonce,
                wrapped_key=self._keys[self._current].encrypt(wrapping_nonce, data_key, bound_to),
                nonce=nonce,
                ciphertext=ciphertext,
            )
        )

    def _unwrap(self, parts: _Sealed, bound_to: bytes) -> bytes:
        key = self._keys.get(parts.key_id)
        if key is None:
            raise SecretUnreadable(
                f"The secret is sealed with key {parts.key_id.hex()}, which is not among the keys."
            )
        return key.decrypt(parts.wrapping_nonce, parts.wrapped_key, bound_to)


def _id_of(key: bytes) -> bytes:
    """Return what tells keys apart without telling anything about them."""
    return hashlib.sha256(b"farspan key id\0" + key).digest()[:KEY_ID_BYTES]


def _bound_to(arn: str, version: int) -> bytes:
    return f"{arn}\n{version}".encode()


def _parts(sealed: bytes) -> _Sealed:
    try:
        parts = msgspec.msgpack.decode(sealed, type=_Sealed)
    except msgspec.MsgspecError as error:
        raise _unreadable() from error
    if parts.format != 1:
        raise _unreadable()
    return parts


def _unreadable() -> SecretUnreadable:
    return SecretUnreadable("The sealed secret is damaged, or belongs to something else.")


def open_sealer(
    directory: Path | None,
    sealed: Iterable[bytes],
    token: Callable[[int], bytes],
    environment: Mapping[str, str] = os.environ,
) -> Sealer:
    """Return the sealer of a Region, for the secrets that its store holds sealed.

    Without a directory and without the variable the key lives as long as the process, as the
    in-memory store does. Raises SecretsUnusable where a key is missing or cannot be used.
    """
    held = list(sealed)
    variable = environment.get(KEY_VARIABLE, "")
    if variable.strip():
        place = KEY_VARIABLE
        keys = _read_keys(variable, place)
    elif directory is None:
        return Sealer([token(KEY_BYTES)], token)
    else:
        path = directory / KEY_FILE_NAME
        place = str(path)
        keys = _keys_in_file(path, len(held), token)
    sealer = Sealer(keys, token)
    strangers = sum(not sealer.has_key_of(secret) for secret in held)
    if strangers:
        raise SecretsUnusable(
            f"{strangers} of the {len(held)} secrets in the store are sealed with another key than "
            f"{place} has. Add the former key to {place}, after the new one and a comma."
        )
    return sealer


def _keys_in_file(path: Path, held_count: int, token: Callable[[int], bytes]) -> list[bytes]:
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        if held_count:
            raise SecretsUnusable(
                f"The store holds sealed secrets ({held_count}), and {path}, which opens them, is "
                f"gone. Put it back from a backup, or give its key in {KEY_VARIABLE}."
            ) from None
        return [_make_key_file(path, token)]
    except OSError as error:
        raise SecretsUnusable(f"{path} cannot be read: {error.strerror}.") from error
    if stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretsUnusable(f"{path} is open to other users. Run `chmod 600 {path}`.")
    return _read_keys(text, str(path))


def _read_keys(text: str, place: str) -> list[bytes]:
    keys = []
    for word in text.replace(",", " ").split():
        try:
            key = base64.b64decode(word, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise SecretsUnusable(
                f"{place} must hold {KEY_BYTES} bytes in base64 for each key; {HOW_TO_MAKE_ONE}."
            )
        keys.append(key)
    if not keys:
        raise SecretsUnusable(
            f"{place} holds no key. Put one there, {KEY_BYTES} bytes in base64; {HOW_TO_MAKE_ONE}."
        )
    return keys


def _make_key_file(path: Path, token: Callable[[int], bytes]) -> bytes:
    """Make a key and its file, durable and whole before anything is sealed with it."""
    key = token(KEY_BYTES)
    draft = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        number = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(base64.b64encode(key) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise SecretsUnusable(f"{path} cannot be written: {error.strerror}.") from error
    return key
