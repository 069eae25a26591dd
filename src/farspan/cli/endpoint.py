"""`farspan endpoint`: routes of global endpoints, seen, forced and paused over the nodes' pages.

Exit codes: 0 done; 1 done, but a node has yet to hear of it; 2 the words are off; 3 nothing
answers; 4 the deployment refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from farspan.cli.explain import json_text, wants_colour
from farspan.cli.remote import Refused, Remote, Unreachable
from farspan.cli.tree import plain

DONE, NOT_EVERYWHERE, UNREACHABLE, REFUSED = 0, 1, 3, 4
ENDPOINTS_PATH = "/-/endpoints"

Endpoint = dict[str, Any]
Show = Callable[[Any], None]


def run_list(remote: Remote, *, as_json: bool) -> int:
    """Print every endpoint of the account and its route. Returns the exit code."""
    return _run(lambda: _list(remote), _print_list, as_json=as_json)


def run_show(remote: Remote, name: str, *, as_json: bool) -> int:
    """Print one endpoint's route, votes and override. Returns the exit code."""
    return _run(lambda: _find(remote, name), _print_endpoint, as_json=as_json)


def run_history(remote: Remote, name: str, *, as_json: bool) -> int:
    """Print how an endpoint's route changed. Returns the exit code."""

    def ask() -> Endpoint:
        path = f"{ENDPOINTS_PATH}/{_find(remote, name)['endpoint_id']}/history"
        return _decoded(remote, remote.page(path))

    return _run(ask, _print_history, as_json=as_json)


def run_override(remote: Remote, name: str, order: Mapping[str, object], *, as_json: bool) -> int:
    """Order a route, a pause, or the end of both. Returns the exit code."""
    heard_by_all = True

    def ask() -> Endpoint:
        nonlocal heard_by_all
        path = f"{ENDPOINTS_PATH}/{_find(remote, name)['endpoint_id']}/override"
        answer = _decoded(remote, remote.put(path, order))
        heard_by_all = all(heard == "ok" for heard in answer.get("told", {}).values())
        return answer

    code = _run(ask, _print_override, as_json=as_json)
    return NOT_EVERYWHERE if code == DONE and not heard_by_all else code


# --- asking ----------------------------------------------------------------------------------


def _run(ask: Callable[[], Any], show: Show, *, as_json: bool) -> int:
    try:
        answer = ask()
    except Unreachable as error:
        click.echo(f"farspan: {plain(str(error))} Is it up? Start it with `farspan up`.", err=True)
        return UNREACHABLE
    except Refused as error:
        click.echo(f"farspan: {plain(str(error))}", err=True)
        return REFUSED
    if as_json:
        click.echo(json_text(answer))
    else:
        show(answer)
    return DONE


def _list(remote: Remote) -> list[Endpoint]:
    found = _decoded(remote, remote.page(ENDPOINTS_PATH)).get("endpoints")
    if not isinstance(found, list):
        raise Unreachable(f"What answers at {remote.url} is not Farspan.")
    return found


def _find(remote: Remote, name: str) -> Endpoint:
    """Return the endpoint of a name, an id or an ARN. Raises Refused where it is not one."""
    found = [
        endpoint
        for endpoint in _list(remote)
        if name in (endpoint["name"], endpoint["endpoint_id"], endpoint["arn"])
    ]
    if not found:
        raise Refused("ResourceNotFoundException", f"Endpoint {name} does not exist.")
    if len(found) > 1:
        ids = ", ".join(f"{e['endpoint_id']} ({e['primary_region']})" for e in found)
        raise Refused("ValidationException", f"Several Regions have an endpoint {name}: say {ids}.")
    return found[0]


def _decoded(remote: Remote, body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise Unreachable(f"What answers at {remote.url} is not Farspan.") from error


# --- telling ---------------------------------------------------------------------------------


def _print_list(endpoints: Sequence[Endpoint]) -> None:
    if not endpoints:
        click.echo("The account has no endpoints.")
        return
    rows = [("NAME", "ID", "ROUTE", "REGION", "ROUTING", "GENERATION", "OVERRIDE")]
    rows += [
        (
            str(each["name"]),
            str(each["endpoint_id"]),
            str(each["route"]),
            str(each["region"]),
            str(each["routing"]),
            str(each["generation"]),
            _order_of(each["override"]),
        )
        for each in endpoints
    ]
    _print_rows(rows)


def _print_endpoint(endpoint: Endpoint) -> None:
    votes = ", ".join(f"{node}: {status}" for node, status in endpoint["votes"].items())
    rows = [
        ("endpoint", f"{endpoint['name']} ({endpoint['endpoint_id']}), {endpoint['state']}"),
        ("Regions", f"{endpoint['primary_region']}, then {endpoint['secondary_region']}"),
        ("route", f"{endpoint['route']}: {endpoint['region']}"),
        ("routing", f"{endpoint['routing']}, generation {endpoint['generation']}"),
        ("reason", str(endpoint["reason"])),
        ("votes", f"{endpoint['evidence']} ({votes or 'none'})"),
        ("override", _order_of(endpoint["override"])),
    ]
    _print_rows(rows)


def _print_override(endpoint: Endpoint) -> None:
    _print_endpoint(endpoint)
    for node, heard in endpoint.get("told", {}).items():
        if heard != "ok":
            line = f"Node {node} has yet to hear of it: {plain(str(heard))}"
            click.echo(click.style(line, fg="yellow"), color=wants_colour())


def _print_history(endpoint: Endpoint) -> None:
    changes = endpoint["history"]
    if not changes:
        click.echo(f"The route of {plain(endpoint['name'])} has never changed.")
        return
    rows = [("TIME", "GENERATION", "ROUTE", "NODE", "VOTES", "REASON")]
    rows += [
        (
            f"{datetime.fromtimestamp(change['at'], UTC):%Y-%m-%dT%H:%M:%S}Z",
            str(change["generation"]),
            f"{change['from_region']} -> {change['to_region']}",
            str(change["node"]),
            ",".join(f"{node}:{status}" for node, status in change["votes"].items()) or "-",
            str(change["reason"]),
        )
        for change in changes
    ]
    _print_rows(rows)


def _order_of(override: Mapping[str, Any] | None) -> str:
    if override is None:
        return "-"
    words = [f"forced to {override['route']}"] if override["route"] else []
    words += ["paused"] if override["paused"] else []
    text = " and ".join(words)
    if override["seconds_left"] is not None:
        text += f" for {override['seconds_left']:.0f} s more"
    return f"{text} ({override['reason']})" if override["reason"] else text


def _print_rows(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (plain(cell).ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())
