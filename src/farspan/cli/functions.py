"""`farspan function add`, `list` and `remove`: Lambda functions at URLs of their own.

Each Region has its own list, so that a command asks every Region of the deployment, one after the
other, and says what became of it in each. Exit codes: 0 done in all of them; 3 one does not answer;
4 one refused.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from farspan.cli.remote import Refused, Remote, Unreachable, open_remotes
from farspan.cli.tree import plain

FUNCTIONS_PATH: Final = "/-/functions"
DONE, UNREACHABLE, REFUSED = 0, 3, 4


def run_add(
    data: Path, endpoint_url: str | None, region: str | None, *, name: str, url: str
) -> int:
    """Make a function known in each Region. Returns the exit code."""

    def add(remote: Remote) -> None:
        made = _asked(remote, "PUT", name=name, url=url)
        click.echo(f"{made['arn']} is invoked at {made['url']}")

    return _in_each(open_remotes(data, url=endpoint_url, region=region), add)


def run_remove(data: Path, endpoint_url: str | None, region: str | None, *, name: str) -> int:
    """Forget a function in each Region. Returns the exit code."""

    def remove(remote: Remote) -> None:
        removed = _asked(remote, "DELETE", name=name)
        click.echo(f"{removed['arn']} is removed")

    return _in_each(open_remotes(data, url=endpoint_url, region=region), remove)


def run_list(data: Path, endpoint_url: str | None, region: str | None, *, as_json: bool) -> int:
    """Show the functions of each Region. Returns the exit code."""
    found: list[dict[str, Any]] = []

    def show(remote: Remote) -> None:
        found.extend(_asked(remote, "GET")["functions"])

    code = _in_each(open_remotes(data, url=endpoint_url, region=region), show)
    if as_json:
        click.echo(msgspec.json.encode(found))
        return code
    for one in found:
        click.echo(plain(f"{one['arn']}  {one['url']}  ({one['from']})"))
    if not found and code == DONE:
        click.echo("No function has a URL. `farspan function add NAME --url URL` gives it one.")
    return code


def _in_each(remotes: list[Remote], ask: Callable[[Remote], None]) -> int:
    """Ask each Region, whatever the others say; return the worst exit code."""
    code = DONE
    for remote in remotes:
        try:
            ask(remote)
        except Unreachable as error:
            click.echo(f"farspan: {remote.region}: {plain(str(error))}", err=True)
            code = max(code, UNREACHABLE)
        except Refused as error:
            click.echo(f"farspan: {remote.region}: {plain(str(error))}", err=True)
            code = max(code, REFUSED)
    return code


def _asked(remote: Remote, method: str, **query: str) -> dict[str, Any]:
    answer = remote.page(FUNCTIONS_PATH, method, **query)
    try:
        return msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise Unreachable(f"What answers at {remote.url} is not Farspan.") from error
