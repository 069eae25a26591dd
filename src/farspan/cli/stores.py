"""`farspan backup`, `restore` and `check`: one Region's store as a file.

Exit codes: 0 done, or sound; 1 it failed, or faults were found; 2 the words are off; 4 refused, as
something is there that would be overwritten, or a process has it.
"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from farspan.config import CONFIG_FILE_NAME, REGION_NAME, ConfigError, load_config
from farspan.sealing import KEY_FILE_NAME
from farspan.store.base import STORE_FILE_NAME, StoreError, StoreUnusable

DONE, FAILED, REFUSED = 0, 1, 4


def run_backup(data: Path, where: str, to: Path) -> int:
    """Copy a store and say what else belongs to a backup. Returns the exit code."""
    from farspan.store.backup import Refused, back_up

    store = _store_file(data, where)
    try:
        back_up(store, to)
    except StoreError as error:
        return _fail(error, REFUSED if isinstance(error, Refused) else FAILED)
    click.echo(f"{store} is copied to {to} ({_size(to)}).")
    key_file = store.parent / KEY_FILE_NAME
    if key_file.exists():
        click.echo(
            f"The secrets in it open only with {key_file}: keep a copy of that as well, elsewhere."
        )
    return DONE


def run_restore(data: Path, file: Path, where: str) -> int:
    """Put a backup in place and say what comes next. Returns the exit code."""
    from farspan.store.backup import Refused, restore

    store = _store_file(data, where)
    try:
        restore(file, store)
    except StoreError as error:
        return _fail(error, REFUSED if isinstance(error, Refused | StoreUnusable) else FAILED)
    click.echo(f"{file} is restored to {store} ({_size(store)}).")
    click.echo(
        f"Put {KEY_FILE_NAME} beside it where the former store had one, then start the Region. "
        "What it took after the backup and the other Region has copied is there, not here."
    )
    return DONE


def run_check(data: Path, where: str, *, as_json: bool) -> int:
    """Look at a store and print what was found. Returns the exit code."""
    from farspan.checkup import check_store

    store = Path(where) if Path(where).is_file() else _store_file(data, where)
    try:
        found = check_store(store)
    except StoreUnusable as error:
        return _fail(error, FAILED)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        for fault in found.faults:
            click.echo(fault)
        verdict = "is sound" if not found.faults else f"has faults: {len(found.faults)}"
        click.echo(
            f"{store} of Region {found.region or 'unknown'}, format {found.format_version}, "
            f"{verdict}. Events {found.event_count}, buses {found.event_bus_count}, "
            f"timers {found.timer_count}, documents {found.document_count}."
        )
        if found.faults:
            click.echo(
                "Stop the Region, move its directory away, restore a backup, and start it again.",
                err=True,
            )
    return FAILED if found.faults else DONE


def _store_file(data: Path, where: str) -> Path:
    """Return the file that a Region's name or a node's directory stands for."""
    if not REGION_NAME.fullmatch(where) or Path(where).is_dir():
        return Path(where) / STORE_FILE_NAME
    try:
        node = load_config(data / CONFIG_FILE_NAME).node_of(where)
    except ConfigError:
        node = None  # a directory that is only being made: `farspan up` names nodes by Region
    return data / (node.name if node else where) / STORE_FILE_NAME


def _fail(error: Exception, code: int) -> int:
    click.echo(f"farspan: {error}", err=True)
    return code


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f} MB"
