"""`farspan drill`: a fault made on purpose, and what it did to a stream of events.

Exit codes: 0 every assertion holds; 1 one does not; 2 the drill could not be run; 130 interrupted.
However it ends, the fault is healed, and what the drill made is gone.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import secrets
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec
from rich.console import Console

from farspan import __version__
from farspan.cli.canary import CanaryMaker, EndpointFacts, facts_of, rules_that_match
from farspan.cli.clients import client_of
from farspan.cli.cut import Wire, part_off
from farspan.cli.deployment import Deployment, DeploymentError, prepare
from farspan.cli.drill_run import Drill, DrillFailed, Interrupted, Plan
from farspan.cli.fault_socket import connect
from farspan.cli.faults import (
    Fault,
    HealthFault,
    Means,
    NoMeans,
    OverrideFault,
    Owner,
    Scenario,
    SignalFault,
    WireFault,
    means_of,
)
from farspan.cli.ports import PortBusy, free_port
from farspan.cli.probes import pattern_of, probes
from farspan.cli.processes import FaultRefused, OwnProcesses, Processes, ProcessFault
from farspan.cli.remote import Refused, Remote, Unreachable, open_remote, read_up_file
from farspan.cli.report import print_report, write_files
from farspan.cli.resources import NotActive, health_check_of
from farspan.cli.undo import NoUndo, Undo
from farspan.config import CONFIG_FILE_NAME, Config, ConfigError, render_config
from farspan.drill.assertions import DEFAULTS, Assertion, BadAssertion, parse_assertion
from farspan.drill.report import DrillReport

COULD_NOT_RUN = 2
INTERRUPTED = 130
RATE_MAX = 5_000.0
ANSWER_SECONDS_MAX = 10.0
HEARD_SECONDS_MAX = 2.0
"""How long the node at the URL may take to hear of an endpoint that was just made."""

NEEDED = ("boto3", "awscrt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for."""

    scenario: Scenario
    region: str | None
    fault_seconds: float
    before_seconds: float
    failback_seconds_max: float
    rate: float
    assertions: tuple[str, ...] = ()
    endpoint: str | None = None
    up: bool = False
    regions: tuple[str, ...] = ()
    replication: str = "async"
    files: dict[str, Path] = field(default_factory=dict)
    data: Path = Path()
    endpoint_url: str | None = None


@dataclass(slots=True)
class Place:
    """The deployment that is drilled, and what the drill may do to it.

    `urls` are of the Regions' nodes, the primary's first, as far as they are known.
    """

    remote: Remote
    owner: Owner
    how: str
    undo: Undo | NoUndo
    urls: dict[str, str] = field(default_factory=dict)
    processes: Processes | None = None
    wire: Wire | None = None
    facts: dict[str, str] = field(default_factory=dict)
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)

    def client(self, service: str, region: str) -> Any:  # noqa: ANN401 - botocore has no types
        """Return a client that asks the deployment."""
        key = (service, region)
        if key not in self._clients:
            self._clients[key] = client_of(self.remote, service, region)
        return self._clients[key]


def run_drill(options: Options) -> int:
    """Run a drill, print and write its report. Returns the exit code."""
    return run_guarded(lambda console: _drill(options, console))


def run_guarded(drill: Callable[[Console], int]) -> int:
    """Run a drill; whatever keeps it from its end becomes a sentence and an exit code."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        click.echo(
            f"farspan: drills call PutEvents with boto3, which signs for global endpoints with "
            f"awscrt; {' and '.join(missing)} is not installed. Run: pip install 'farspan[demo]'",
            err=True,
        )
        return COULD_NOT_RUN
    from botocore.exceptions import BotoCoreError, ClientError

    former = {
        number: signal.signal(number, _interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        return drill(Console())
    except Interrupted:
        click.echo("Interrupted: the fault is healed, and what the drill made is gone.")
        return INTERRUPTED
    except (
        BadAssertion,
        BotoCoreError,
        ClientError,
        ConfigError,
        DeploymentError,
        DrillFailed,
        FaultRefused,
        NoMeans,
        NotActive,
        OSError,
        PortBusy,
        Refused,
        Unreachable,
    ) as error:
        click.echo(f"farspan: {error}", err=True)
        return COULD_NOT_RUN
    finally:
        for number, action in former.items():
            signal.signal(number, action)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # stopping is under way
    raise Interrupted


def _drill(options: Options, console: Console) -> int:
    texts = options.assertions or DEFAULTS
    assertions = [parse_assertion(text) for text in texts]
    _check_files(options.files)
    with contextlib.ExitStack() as stack:
        if options.up:
            place = own_place(
                stack, options.regions, options.scenario, options.region, options.replication
            )
        else:
            place = _running_place(stack, options)
        report = _run_at(place, options, assertions, console)
    print_report(console, report)
    write_files(console, report, options.files)
    return 0 if report.passed else 1


def _check_files(files: dict[str, Path]) -> None:
    for path in files.values():
        if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
            raise DrillFailed(f"{path} cannot be written: {path.parent} is no directory for that.")


# --- where -----------------------------------------------------------------------------------


def own_place(
    stack: contextlib.ExitStack,
    regions: tuple[str, ...],
    scenario: Scenario,
    region: str | None = None,
    replication: str = "async",
) -> Place:
    """Start a deployment that ends with the stack. Its endpoints replicate in that mode."""
    means, region = means_of(scenario, Owner.DRILL), _known(region, regions)
    data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="farspan-drill-")))
    config = prepare(data, regions, free_port(), auth=True)
    config = msgspec.structs.replace(
        config,
        replication=msgspec.structs.replace(config.replication, mode=replication),
        # The health check looks at a proxy of the drill's, which is no node's address.
        health=msgspec.structs.replace(config.health, allow_private=means is Means.WIRE or None),
    )
    (data / CONFIG_FILE_NAME).write_text(render_config(config))
    views: dict[str, Path] = {}
    wire = None
    if means is Means.WIRE:
        wire = stack.enter_context(Wire())
        config, views = part_off(wire, config, region, data)
    deployment = stack.enter_context(Deployment(config, data, views=views))
    deployment.start_all()
    return Place(
        remote=Remote(config.nodes[0].url, regions[0], config.credentials[0]),
        owner=Owner.DRILL,
        how="two Regions and an edge, started by the drill on one machine, signatures verified",
        undo=NoUndo(),
        urls={r: _url_of(config, r) for r in regions},
        processes=OwnProcesses(deployment),
        wire=wire,
        facts={
            "replication mode": replication,
            "health time scale": f"{config.health.time_scale:g}",
        },
    )


def _url_of(config: Config, region: str) -> str:
    node = config.node_of(region)
    assert node is not None, "the deployment's Regions have nodes"
    return node.url


def _running_place(stack: contextlib.ExitStack, options: Options) -> Place:
    """Find the deployment that options, the environment or the data directory name."""
    try:
        remote = open_remote(options.data, url=options.endpoint_url, region=None)
    except click.UsageError as error:
        raise DrillFailed(
            f"{error.format_message()} Or add --up, for a deployment of the drill's own."
        ) from error
    if remote.status(ANSWER_SECONDS_MAX) is None:
        raise DrillFailed(
            f"No Farspan answers at {remote.url}. Start it with `farspan up`, or add --up, for a "
            "deployment of the drill's own."
        )
    undo = Undo(remote)
    stack.callback(_finish_undo, undo)
    place = Place(remote=remote, owner=Owner.ELSEWHERE, how="a deployment elsewhere", undo=undo)
    up = read_up_file(options.data)
    if up.get("url", "").rstrip("/") != remote.url:
        return place
    place.urls = {region["name"]: region["url"] for region in up["regions"]}
    connection = connect(options.data)
    if connection is not None:
        place.processes = stack.enter_context(connection)
        place.owner = Owner.UP
        place.how = "`farspan up` on this machine"
    return place


def _finish_undo(undo: Undo) -> None:
    for line in undo.close():
        click.echo(f"farspan: {line}", err=True)


def _known(region: str | None, regions: tuple[str, ...]) -> str:
    """Return the Region that gets the fault: the one that was named, or the primary."""
    if region is None:
        return regions[0]
    if region not in regions:
        raise DrillFailed(f"There is no Region {region} here; there are {', '.join(regions)}.")
    return region


# --- what ------------------------------------------------------------------------------------


def _run_at(
    place: Place, options: Options, assertions: list[Assertion], console: Console
) -> DrillReport:
    drill = secrets.token_hex(4)
    maker = CanaryMaker(place.client, place.undo, f"farspan-drill-{drill}")
    notes: list[str] = []
    if options.endpoint is None:
        endpoint, region = _own_endpoint(place, options, maker)
    else:
        endpoint = _users_endpoint(place, options.endpoint)
        region = _known(options.region, endpoint.regions)
        notes += _notes_on(place, endpoint, drill, maker.name)
    means = means_of(options.scenario, place.owner)
    fault = fault_of(place, options.scenario, means, endpoint, region, options.fault_seconds)
    plan = Plan(
        scenario=options.scenario,
        region=region,
        fault=fault,
        endpoint=endpoint,
        queue_urls=maker.make_queues(endpoint, pattern_of(drill)),
        calls=probes(endpoint.event_bus_arns[0], drill),
        rate=options.rate,
        before_seconds=options.before_seconds,
        fault_seconds=options.fault_seconds,
        failback_seconds_max=options.failback_seconds_max,
    )
    introduce(console, place, plan, notes)
    return Drill(place.remote, console, plan).run(
        assertions, environment_of(place, endpoint), notes
    )


def introduce(console: Console, place: Place, plan: Plan, notes: list[str]) -> None:
    """Print what is about to be done, to what."""
    endpoint = plan.endpoint
    event_count = plan.rate * (plan.before_seconds + plan.fault_seconds)
    what = f"{plan.scenario.value} {plan.region} for {plan.fault_seconds:g} s"
    regions = f"of {endpoint.primary} and {endpoint.secondary}"
    where = f"endpoint {endpoint.name} ({endpoint.endpoint_id}) {regions}"
    stream = f"Publishing {plan.rate:g} events/s with boto3 to {where}"
    for line in (
        f"{what}, on {place.how} at {place.remote.url}.",
        plan.fault.text,
        f"{stream}: about {event_count:.0f} until the heal, and on until failback.",
        *notes,
    ):
        console.print(line, markup=False, highlight=False)


def _own_endpoint(place: Place, options: Options, maker: CanaryMaker) -> tuple[EndpointFacts, str]:
    """Make an endpoint whose primary Region is the one that gets the fault; return both."""
    if place.urls:
        known = tuple(place.urls)
        region = _known(options.region, known)
        check = health_check_of(place.urls[region])
        other = next(name for name in known if name != region)
    else:
        (region, other), check = _model_for(place, options.region)
    return maker.make_endpoint((region, other), check), region


def _endpoints(place: Place) -> list[EndpointFacts]:
    """Return the endpoints that the node at the URL knows and that can be put to."""
    found = []
    for endpoint in (place.remote.status(ANSWER_SECONDS_MAX) or {}).get("endpoints", ()):
        region, name = endpoint["arn"].split(":")[3], endpoint["arn"].rpartition("/")[2]
        described = place.client("events", region).describe_endpoint(Name=name)
        if described["State"] == "ACTIVE":
            found.append(facts_of(described))
    return found


def _model_for(place: Place, region: str | None) -> tuple[tuple[str, str], dict[str, Any]]:
    """Return the Regions of an endpoint whose primary it is, and its health check's settings."""
    from botocore.exceptions import ClientError

    for endpoint in _endpoints(place):
        if region in (None, endpoint.primary):
            with contextlib.suppress(ClientError):  # it may have been deleted while in use
                return endpoint.regions, _health_check(place, endpoint)
    raise DrillFailed(
        f"No endpoint at {place.remote.url} has {region or 'a Region'} as its primary, so there is "
        "no health check to go by. Make one, or drill an endpoint: --endpoint NAME."
    )


def _health_check(place: Place, endpoint: EndpointFacts) -> dict[str, Any]:
    """Return the settings of an endpoint's health check."""
    route53 = place.client("route53", endpoint.primary)
    found = route53.get_health_check(HealthCheckId=endpoint.health_check_id)
    settings: dict[str, Any] = found["HealthCheck"]["HealthCheckConfig"]
    return settings


def _users_endpoint(place: Place, name: str) -> EndpointFacts:
    deadline = time.monotonic() + HEARD_SECONDS_MAX
    while True:
        endpoints = _endpoints(place)
        found = next((endpoint for endpoint in endpoints if endpoint.name == name), None)
        if found is not None:
            return found
        if time.monotonic() > deadline:
            known = ", ".join(endpoint.name for endpoint in endpoints) or "none"
            raise DrillFailed(f"There is no active endpoint {name}; there are: {known}.")
        time.sleep(0.1)


def _notes_on(place: Place, endpoint: EndpointFacts, drill: str, own: str) -> list[str]:
    """Return what the user should know of probes on a bus of theirs."""
    arn = endpoint.event_bus_arns[0]
    entry = next(probes(arn, drill))[0].entry
    event = json.dumps(
        {
            "id": drill,
            "account": arn.split(":")[4],
            "source": entry["Source"],
            "detail-type": entry["DetailType"],
            "detail": json.loads(entry["Detail"]),
            "time": "2026-01-01T00:00:00Z",
            "region": endpoint.primary,
            "resources": [],
        }
    )
    notes = []
    for region in endpoint.regions:
        names = rules_that_match(place.client("events", region), endpoint, event, own)
        if names:
            notes.append(
                f"Rules of bus {endpoint.event_bus_name} in {region} that get the probes as well: "
                f"{', '.join(names)}."
            )
    return notes


def fault_of(
    place: Place,
    scenario: Scenario,
    means: Means,
    endpoint: EndpointFacts,
    region: str,
    seconds: float,
) -> Fault:
    """Return the fault, not yet made."""
    if means is Means.HEALTH_CHECK:
        route53 = place.client("route53", endpoint.primary)
        inverted = _health_check(place, endpoint).get("Inverted", False)
        check = endpoint.health_check_id
        return HealthFault(route53, place.undo, check, endpoint.primary, inverted)
    if means is Means.WIRE:
        assert place.wire is not None, "the place was made for it"
        return WireFault(place.wire, region)
    if means is Means.OVERRIDE:
        route = "SECONDARY" if region == endpoint.primary else "PRIMARY"
        return OverrideFault(place.remote, place.undo, endpoint.endpoint_id, route, seconds, region)
    assert place.processes is not None, "the place owns processes"
    kind = ProcessFault.DOWN if scenario is Scenario.REGION_DOWN else ProcessFault.HANG
    return SignalFault(place.processes, kind, region)


def environment_of(place: Place, endpoint: EndpointFacts) -> dict[str, str]:
    """Return what was drilled, with what."""
    versions = {name: importlib.metadata.version(name) for name in ("boto3", "awscrt")}
    return {
        "farspan": __version__,
        "deployment": f"{place.how}, {urlsplit(place.remote.url).netloc}",
        "endpoint": f"{endpoint.name} ({endpoint.endpoint_id})",
        "primary": endpoint.primary,
        "secondary": endpoint.secondary,
        "replication": "ENABLED" if endpoint.replicates else "DISABLED",
        **place.facts,
        **versions,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
    }
