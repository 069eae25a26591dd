"""What `farspan check` finds in a store that something has damaged, and only there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import apsw
import msgspec
import pytest
from click.testing import CliRunner, Result

from farspan.catalog.resources import Resources
from farspan.checkup import check_store
from farspan.cli import main
from farspan.delivery.stored import RETRY_TIMERS, delivery_cursor
from farspan.model.bus import EventBus
from farspan.model.event import CallId, EventBatch
from farspan.model.queue import Message
from farspan.queues.message import encode_message
from farspan.store.base import Append, MoveCursor, PutTimer, StoreUnusable, Trim
from farspan.store.sqlite import open_store

BUS = "000000000000/orders"
HERE = "us-east-1"
STREAM = "abcde12345.veo"


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Return the path of a sound store that has something of everything."""
    path = tmp_path / HERE / "store.sqlite3"
    store = open_store(path, asyncio.get_running_loop())
    resources = Resources(HERE, store)
    await resources.load(1.0, log_id="log")
    await resources.save(EventBus(region=HERE, account="0" * 12, name="orders"), now=1.0)
    for number in range(1, 6):
        batch = EventBatch(
            event_bus=BUS,
            call=CallId(number.to_bytes(14, "big")),
            events=(b"{}",) * number,
            accepted_at=1.0,
            origin=HERE,
            stream=STREAM,
        )
        await store.commit([Append(batch)])
    message = Message(message_id="m", body="b", sender_id="s", sent_at=1.0)
    await store.commit(
        [
            Trim(BUS, 3),
            MoveCursor(delivery_cursor(BUS), 15),
            PutTimer("queue/000000000000/q/1", b"k", 1.0, encode_message(message)),
        ]
    )
    await store.close()
    return path


def damage(path: Path, statement: str) -> tuple[str, ...]:
    """Change the store behind the engine's back and return what is found."""
    connection = apsw.Connection(str(path))
    connection.execute(statement)
    connection.close()
    return check_store(path).faults


def check(*words: str) -> Result:
    """Run `farspan check`."""
    return CliRunner().invoke(main, ["check", *words])


def test_a_sound_store_has_no_faults(path: Path) -> None:
    """Trimmed, delivered and replicated as it may be, it is counted and found sound."""
    found = check_store(path)

    assert found.faults == ()
    assert (found.region, found.event_count, found.event_bus_count) == (HERE, 14, 1)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        pytest.param(
            "DELETE FROM log WHERE event_count = 3",
            f"Bus {BUS}: after position 3 comes 7.",
            id="a batch is missing",
        ),
        pytest.param(
            "UPDATE log SET body = x'93a0' WHERE event_count = 4",
            f"Bus {BUS}: the batch at position 7 cannot be read: "
            "Expected `array`, got `str` - at `$[0]`.",
            id="a batch is something else",
        ),
        pytest.param(
            "UPDATE log SET body = x'91c4027b7d' WHERE event_count = 4",
            f"Bus {BUS}: the batch at position 7 has 1 events and should have 4.",
            id="a batch has fewer events than it says",
        ),
        pytest.param(
            "UPDATE log SET sequence = 6 WHERE event_count = 4",
            f"Stream {STREAM}: sequence 6 is there twice.",
            id="a sequence is there twice",
        ),
        pytest.param(
            "UPDATE cursor SET position = 16",
            f"Bus {BUS} is delivered up to 16, and its log ends at 15.",
            id="a cursor is beyond its log",
        ),
        pytest.param(
            "UPDATE timer SET body = x'00'",
            "Timer 6b of queue/000000000000/q/1 cannot be read: Expected `object`, got `int`.",
            id="a message cannot be read",
        ),
        pytest.param(
            f"UPDATE timer SET body = x'00', timers = '{RETRY_TIMERS}'",
            f"Timer 6b of {RETRY_TIMERS} cannot be read: Expected `object`, got `int`.",
            id="a stored delivery cannot be read",
        ),
        pytest.param(
            "DELETE FROM document WHERE key = 'region'",
            "The store does not say to which Region it belongs.",
            id="no Region",
        ),
        pytest.param(
            f"UPDATE document SET value = '[]' WHERE key = 'bus/{BUS}'",
            f"Document bus/{BUS} cannot be read: Expected `object`, got `array`.",
            id="a resource cannot be read",
        ),
    ],
)
def test_each_promise_is_looked_at(path: Path, statement: str, fault: str) -> None:
    """What the engine or a part would never have written is told, with where it is."""
    assert fault in damage(path, statement)


def test_what_sqlite_finds_is_told(path: Path) -> None:
    """An index whose page says something else than the table is a fault."""
    connection = apsw.Connection(str(path))
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'log_call'").get
    size = connection.pragma("page_size")
    connection.close()
    content = path.read_bytes()
    start, end = (root - 1) * size, root * size
    page = content[start:end].replace((3).to_bytes(14, "big"), (9).to_bytes(14, "big"))
    path.write_bytes(content[:start] + page + content[end:])

    assert any(fault.startswith("SQLite: ") for fault in check_store(path).faults)


def test_what_is_no_store_is_refused(tmp_path: Path) -> None:
    """Another file is named in a sentence."""
    (tmp_path / "diary").write_bytes(b"Dear diary, " * 1_000)

    with pytest.raises(StoreUnusable, match="cannot be read"):
        check_store(tmp_path / "diary")


def test_the_command_says_that_a_store_is_sound(path: Path) -> None:
    """Exit code 0, and one line with what was counted; by Region, directory or file."""
    results = [
        check(HERE, "--data", str(path.parent.parent)),
        check(str(path.parent)),
        check(str(path)),
    ]

    assert [result.exit_code for result in results] == [0, 0, 0]
    assert all("is sound. Events 14, buses 1" in result.output for result in results)


def test_the_command_says_what_is_wrong(path: Path) -> None:
    """Exit code 1, a line for each fault, and what to do."""
    damage(path, "UPDATE cursor SET position = 16")

    result = check(str(path))

    assert result.exit_code == 1
    assert "delivered up to 16" in result.output
    assert "has faults: 1" in result.output
    assert "restore a backup" in result.output


def test_the_command_gives_data(path: Path) -> None:
    """With --json the same is one object."""
    found = msgspec.json.decode(check(str(path), "--json").output)

    assert found["faults"] == []
    assert found["region"] == HERE


def test_the_command_names_a_store_that_is_not_there(tmp_path: Path) -> None:
    """Exit code 1 and the path where it was looked for."""
    result = check(HERE, "--data", str(tmp_path))

    assert result.exit_code == 1
    assert f"There is no store at {tmp_path / HERE / 'store.sqlite3'}" in result.output


def test_backup_and_restore_as_commands(path: Path, tmp_path: Path) -> None:
    """A Region's store goes into a file and out of it; what is there already is refused with 4."""
    (path.parent / "secrets.key").write_text("key")
    data, file = str(tmp_path), tmp_path / "b.sqlite3"
    runs = [
        ["backup", HERE, "--data", data, "--to", str(file)],
        ["backup", HERE, "--data", data, "--to", str(file)],
        ["restore", str(file), HERE, "--data", data],
        ["restore", str(file), HERE, "--data", f"{data}/new"],
        ["check", HERE, "--data", f"{data}/new"],
    ]
    results = [CliRunner().invoke(main, words) for words in runs]

    assert [result.exit_code for result in results] == [0, 4, 4, 0, 0]
    assert "keep a copy of that as well" in results[0].output
    assert "then start the Region" in results[3].output
