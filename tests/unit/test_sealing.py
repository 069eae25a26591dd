"""Sealing: what opens, what does not, where the key comes from, and what the disk holds."""

from __future__ import annotations

import asyncio
import base64
import logging
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from farspan.app import Node, open_node
from farspan.clock import SeededIds
from farspan.config import Config, NodeConfig
from farspan.control.plane import Caller, perform
from farspan.model.connection import Connection, HttpParameter, HttpParameters, Secret
from farspan.sealing import (
    KEY_FILE_NAME,
    KEY_VARIABLE,
    Sealer,
    SecretsUnusable,
    SecretUnreadable,
    open_sealer,
)
from farspan.store.base import StoreUnusable

ARN = "arn:aws:events:us-east-1:000000000000:connection/c/1"
SECRET = b"correct horse battery staple"
FIRST, SECOND = bytes(range(32)), bytes(range(32, 64))
OWN = Caller(account="000000000000", access_key_id="test")
NODE = NodeConfig(name="us-east-1", url="http://127.0.0.1:1", region="us-east-1")
PASSWORD = "hush-password-8f14e45f"
NO_VARIABLE: Mapping[str, str] = {}


def token(byte_count: int) -> bytes:
    """Return bytes that differ from call to call."""
    return _ids.token(byte_count)


_ids = SeededIds(7)


def text_of(*keys: bytes) -> str:
    """Return keys as the variable holds them."""
    return ",".join(base64.b64encode(key).decode() for key in keys)


# --- sealing and opening ---------------------------------------------------------------------


def test_what_was_sealed_opens() -> None:
    """The secret comes back, and the sealed bytes do not hold it."""
    sealer = Sealer([FIRST], token)
    sealed = sealer.seal(SECRET, arn=ARN, version=1)

    assert SECRET == sealer.open(sealed, arn=ARN, version=1)
    assert SECRET not in sealed


def test_each_secret_has_a_data_key_of_its_own() -> None:
    """The same secret sealed twice shares nothing: neither data key nor nonce nor ciphertext."""
    sealer = Sealer([FIRST], token)
    one, two = (msgspec.msgpack.decode(sealer.seal(SECRET, arn=ARN, version=1)) for _ in range(2))

    assert one[:2] == two[:2]
    assert [] == [first for first, second in zip(one[2:], two[2:], strict=True) if first == second]


@pytest.mark.parametrize(
    ("arn", "version"), [(f"{ARN}2", 1), (ARN, 2), (ARN, 0), (f"{ARN}\n1", 1)], ids=ascii
)
def test_a_secret_opens_for_its_resource_and_version_only(arn: str, version: int) -> None:
    """A sealed secret that was moved, or put back from the past, does not open."""
    sealer = Sealer([FIRST], token)
    sealed = sealer.seal(SECRET, arn=ARN, version=1)

    with pytest.raises(SecretUnreadable):
        sealer.open(sealed, arn=arn, version=version)
    with pytest.raises(SecretUnreadable):
        sealer.rewrap(sealed, arn=arn, version=version)


def test_not_one_byte_may_change() -> None:
    """Every bit is under a seal, or its change makes the whole unreadable."""
    sealer = Sealer([FIRST], token)
    sealed = sealer.seal(SECRET, arn=ARN, version=1)

    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(SecretUnreadable):
            sealer.open(bytes(changed), arn=ARN, version=1)


@pytest.mark.parametrize("sealed", [b"", b"\xc0", b"\x90", b"plain text"], ids=ascii)
def test_what_was_never_sealed(sealed: bytes) -> None:
    """Garbage is unreadable, and says nothing else."""
    with pytest.raises(SecretUnreadable):
        Sealer([FIRST], token).open(sealed, arn=ARN, version=1)


def test_another_key_does_not_open_it() -> None:
    """The error names the key by its id, which tells nothing about it."""
    sealed = Sealer([FIRST], token).seal(SECRET, arn=ARN, version=1)
    stranger = Sealer([SECOND], token)

    assert not stranger.has_key_of(sealed)
    with pytest.raises(SecretUnreadable, match=r"sealed with key [0-9a-f]{16}, which is not"):
        stranger.open(sealed, arn=ARN, version=1)


def test_rewrapping_changes_the_key_and_not_the_secret() -> None:
    """After it the new key alone opens the secret, whose ciphertext is the same."""
    sealed = Sealer([FIRST], token).seal(SECRET, arn=ARN, version=1)
    both = Sealer([SECOND, FIRST], token)
    rewrapped = both.rewrap(sealed, arn=ARN, version=1)

    assert [False, True] == [both.is_current(one) for one in (sealed, rewrapped)]
    assert SECRET == Sealer([SECOND], token).open(rewrapped, arn=ARN, version=1)
    assert msgspec.msgpack.decode(sealed)[4:] == msgspec.msgpack.decode(rewrapped)[4:]
    with pytest.raises(SecretUnreadable):
        Sealer([FIRST], token).open(rewrapped, arn=ARN, version=1)


def test_nothing_shows_a_secret() -> None:
    """Neither a sealer nor a secret nor its parameters say anything in their repr."""
    parameter = HttpParameter(key="k", value="hush")
    parameters = HttpParameters(header_parameters=(parameter,))
    secret = Secret(password="hush", invocation_http_parameters=parameters)
    shown = f"{secret!r} {secret} {parameters!r} {parameter!r} {Sealer([FIRST], token)!r}"

    assert "hush" not in shown
    assert FIRST.hex() not in shown


# --- where the key comes from ----------------------------------------------------------------


def test_the_first_start_makes_a_key_file(tmp_path: Path) -> None:
    """Only its owner may read it, and the next start finds the same key in it."""
    directory = tmp_path / "us-east-1"
    sealed = open_sealer(directory, [], token, NO_VARIABLE).seal(SECRET, arn=ARN, version=1)
    path = directory / KEY_FILE_NAME

    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert 32 == len(base64.b64decode(path.read_text()))
    assert [path] == list(directory.iterdir())
    again = open_sealer(directory, [sealed], token, NO_VARIABLE)
    assert SECRET == again.open(sealed, arn=ARN, version=1)


def test_the_variable_comes_before_the_file(tmp_path: Path) -> None:
    """With FARSPAN_SECRETS_KEY no file is made; several keys are separated by commas."""
    sealed = Sealer([FIRST], token).seal(SECRET, arn=ARN, version=1)
    both = open_sealer(tmp_path, [sealed], token, {KEY_VARIABLE: text_of(SECOND, FIRST)})

    assert SECRET == both.open(sealed, arn=ARN, version=1)
    assert not both.is_current(sealed)
    assert [] == list(tmp_path.iterdir())


def test_without_a_directory_the_key_is_the_processs() -> None:
    """The in-memory store's secrets live as long as it does."""
    sealer = open_sealer(None, [], token, NO_VARIABLE)

    assert SECRET == sealer.open(sealer.seal(SECRET, arn=ARN, version=1), arn=ARN, version=1)


def test_a_draft_left_by_a_crash_is_written_anew(tmp_path: Path) -> None:
    """A start that died before the key had its name leaves nothing that matters."""
    (tmp_path / f"{KEY_FILE_NAME}.new").write_text("half")
    open_sealer(tmp_path, [], token, NO_VARIABLE)

    assert [KEY_FILE_NAME] == [path.name for path in tmp_path.iterdir()]


def _gone(directory: Path) -> None:
    (directory / KEY_FILE_NAME).unlink()


def _other(directory: Path) -> None:
    (directory / KEY_FILE_NAME).write_text(text_of(SECOND))


def _empty(directory: Path) -> None:
    (directory / KEY_FILE_NAME).write_text("\n")


def _short(directory: Path) -> None:
    (directory / KEY_FILE_NAME).write_text(base64.b64encode(bytes(16)).decode())


def _no_base64(directory: Path) -> None:
    (directory / KEY_FILE_NAME).write_text("pässword")


def _open_to_all(directory: Path) -> None:
    (directory / KEY_FILE_NAME).chmod(0o644)


def _a_folder(directory: Path) -> None:
    _gone(directory)
    (directory / KEY_FILE_NAME).mkdir()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (
            _gone,
            r"The store holds sealed secrets \(1\), and .* which opens them, is gone. Put it back",
        ),
        (_other, "1 of the 1 secrets in the store are sealed with another key than .* has. Add"),
        (_empty, "holds no key. Put one there, 32 bytes in base64; `openssl rand -base64 32`"),
        (_short, "must hold 32 bytes in base64 for each key; `openssl rand -base64 32` makes"),
        (_no_base64, "must hold 32 bytes in base64 for each key"),
        (_open_to_all, "is open to other users. Run `chmod 600 "),
        (_a_folder, "cannot be read: Is a directory"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_key_that_cannot_be_used(
    tmp_path: Path, harm: Callable[[Path], None], message: str
) -> None:
    """The error says what is wrong and what to do; the command line reports it as a store's."""
    sealed = open_sealer(tmp_path, [], token, NO_VARIABLE).seal(SECRET, arn=ARN, version=1)
    harm(tmp_path)

    with pytest.raises(SecretsUnusable, match=message) as caught:
        open_sealer(tmp_path, [sealed], token, NO_VARIABLE)
    assert isinstance(caught.value, StoreUnusable)


def test_a_variable_that_is_no_key(tmp_path: Path) -> None:
    """The variable is named, its value is not."""
    with pytest.raises(SecretsUnusable, match=KEY_VARIABLE) as caught:
        open_sealer(tmp_path, [], token, {KEY_VARIABLE: "hush"})
    assert "hush" not in str(caught.value)


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """The error names the file that was to be made."""
    (tmp_path / f"{KEY_FILE_NAME}.new").mkdir()

    with pytest.raises(SecretsUnusable, match=r"secrets\.key cannot be written"):
        open_sealer(tmp_path, [], token, NO_VARIABLE)


# --- a whole node ----------------------------------------------------------------------------


async def opened(data: Path) -> Node:
    """Open a node of one Region on disk."""
    return await open_node(Config(nodes=(NODE,)), NODE, data)


async def call(node: Node, operation_name: str, **params: Any) -> dict[str, Any]:
    """Perform an operation of the node's control plane."""
    assert node.region is not None
    return await perform(node.region.plane, OWN, "events", operation_name, params)


async def connect(node: Node) -> None:
    """Create a connection, and change its password."""
    auth = {
        "BasicAuthParameters": {"Username": "ann", "Password": PASSWORD},
        "InvocationHttpParameters": {
            "HeaderParameters": [{"Key": "x", "Value": f"{PASSWORD}-2", "IsValueSecret": True}]
        },
    }
    await call(node, "CreateConnection", Name="c", AuthorizationType="BASIC", AuthParameters=auth)
    changed = {"BasicAuthParameters": {"Password": f"{PASSWORD}-3"}}
    await call(
        node, "UpdateConnection", Name="c", AuthorizationType="BASIC", AuthParameters=changed
    )


def secret_in(node: Node) -> Secret:
    """Open the connection's secret."""
    assert node.region is not None
    plane = node.region.plane
    connection = plane.resources.table(Connection)["000000000000/c"]
    assert connection.sealed_secret is not None
    sealed = plane.sealer.open(
        connection.sealed_secret, arn=connection.arn, version=connection.secret_version
    )
    return msgspec.json.decode(sealed, type=Secret)


async def test_the_disk_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No file of the data directory has a password in it, in base64 neither, nor has the log."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    caplog.set_level(logging.DEBUG)
    node = await opened(tmp_path)
    await connect(node)
    await call(node, "CreateEventBus", Name="found-in-the-clear")
    secret = secret_in(node)
    assert node.region is not None
    shown = repr(node.region.plane.resources.table(Connection)["000000000000/c"])
    # While the node runs there is a write-ahead log as well; after it, one file.
    running = await asyncio.to_thread(everything_in, tmp_path)
    await node.close()
    held = running + await asyncio.to_thread(everything_in, tmp_path)

    assert f"{PASSWORD}-3" == secret.password
    assert b"found-in-the-clear" in held
    for text in (PASSWORD.encode(), base64.b64encode(PASSWORD.encode())[:20]):
        assert text not in held
        assert text.decode() not in shown + caplog.text


def everything_in(directory: Path) -> bytes:
    """Return all bytes of all files."""
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def test_a_restart_opens_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key file is beside the store; where it is gone, the node does not start."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    node = await opened(tmp_path)
    await connect(node)
    await node.close()
    node = await opened(tmp_path)
    secret = secret_in(node)
    await node.close()
    (tmp_path / NODE.name / KEY_FILE_NAME).unlink()

    assert ("ann", f"{PASSWORD}-3") == (secret.username, secret.password)
    with pytest.raises(SecretsUnusable, match="is gone"):
        await opened(tmp_path)


async def test_a_new_key_in_front_rewraps_every_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a start with the new key before the former one, the new one is enough."""
    passwords = []
    for keys in ((FIRST,), (SECOND, FIRST), (SECOND,)):
        monkeypatch.setenv(KEY_VARIABLE, text_of(*keys))
        node = await opened(tmp_path)
        if keys == (FIRST,):
            await connect(node)
        passwords.append(secret_in(node).password)
        await node.close()

    assert [f"{PASSWORD}-3"] * 3 == passwords


async def test_a_removed_secret_leaves_nothing_to_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After DeauthorizeConnection the store has no sealed secret, so that its key may go too."""
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    node = await opened(tmp_path)
    await connect(node)
    await call(node, "DeauthorizeConnection", Name="c")
    await node.close()
    (tmp_path / NODE.name / KEY_FILE_NAME).unlink()
    node = await opened(tmp_path)
    found = await call(node, "DescribeConnection", Name="c")
    await node.close()

    assert {} == found["AuthParameters"]
