"""The command line: starts nodes, and is a client of the public API like any other.

Exit codes: 0 done, or it matches; 1 it failed, or does not match; 2 the words are off; 3 the
deployment does not answer; 4 it refused; 130 interrupted.
Each command imports what it needs when it runs, so that `farspan --help` is quick.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec

import click

from farspan import __version__
from farspan.cli.durations import Duration

DEFAULT_DATA = Path(".farspan")
DEFAULT_REGIONS = "us-east-1,us-west-2"

SCENARIOS = ("region-down", "region-hang", "region-cut", "health-invert")


DURATION = Duration(0.5, 3_600.0)
RATE = click.FloatRange(1.0, 5_000.0)
NEW_FILE = click.Path(path_type=Path, dir_okay=False)

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DATA,
    show_default=True,
    help="Directory that keeps the configuration and every Region's store.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="farspan")
def main() -> None:
    """Farspan: an event bus that speaks EventBridge, with global endpoints that fail over."""


@main.command()
@click.option("--regions", default=DEFAULT_REGIONS, show_default=True, help="Comma-separated.")
@click.option("--port", default=4566, show_default=True, help="Port of the one URL.")
@data_option
@click.option("--empty", is_flag=True, help="Create no demo bus, rule and endpoint.")
@click.option("--restart", is_flag=True, help="Start a Region again that died.")
@click.option(
    "--auth",
    type=click.Choice(["on", "off"]),
    default="off",
    show_default=True,
    help="Verify signatures, or take any key.",
)
@click.option(
    "--dns",
    "zone",
    is_flag=False,
    flag_value="amazonaws.com",
    metavar="[DOMAIN]",
    help="Serve the SDKs' own host names too: DNS at port 53, HTTPS at 443.",
)
def up(
    regions: str,
    port: int,
    data: Path,
    *,
    empty: bool,
    restart: bool,
    auth: str,
    zone: str | None,
) -> None:
    """Start two Regions and an edge on this machine, and keep them until Ctrl-C."""
    from farspan.cli.up import run_up

    raise SystemExit(
        run_up(
            regions=_region_names(regions),
            port=port,
            data=data,
            empty=empty,
            restart=restart,
            auth=auth == "on",
            zone=zone,
        )
    )


@main.command()
@click.option("--region", required=True, help="The Region to serve.")
@data_option
def serve(region: str, data: Path) -> None:
    """Run one Region's node in the foreground."""
    from farspan.cli.run import run_node

    raise SystemExit(run_node(data, region=region))


@main.command()
@data_option
def edge(data: Path) -> None:
    """Run one edge in the foreground: it routes and observes, and stores no events."""
    from farspan.cli.run import run_node

    raise SystemExit(run_node(data, region=None))


@main.command()
@click.option("--listen", metavar="ADDRESS:PORT", help="Where to answer.  [default: as in [dns]]")
@click.option("--zone", metavar="DOMAIN", help="The domain to answer for.  [default: as in [dns]]")
@data_option
def dns(listen: str | None, zone: str | None, data: Path) -> None:
    """Answer DNS for the names that AWS's SDKs make up, with the nodes that are reachable."""
    from farspan.cli.run import run_dns

    raise SystemExit(run_dns(data, listen=listen, zone=zone))


@main.group()
def ca() -> None:
    """Make the certificates with which nodes serve HTTPS under the SDKs' own host names."""


directory_option = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Directory of the certificates.  [default: the configuration's, DATA/tls]",
)


@ca.command("init")
@directory_option
@click.option("--zone", metavar="DOMAIN", help="What the CA is for.  [default: as in [dns]]")
@data_option
def ca_init(directory: Path | None, zone: str | None, data: Path) -> None:
    """Make a CA for one zone, and a certificate for each node."""
    from farspan.cli.ca import run_ca_init

    raise SystemExit(run_ca_init(data, directory, zone))


@ca.command("renew")
@directory_option
@data_option
def ca_renew(directory: Path | None, data: Path) -> None:
    """Make the nodes' certificates anew; running nodes take them up."""
    from farspan.cli.ca import run_ca_renew

    raise SystemExit(run_ca_renew(data, directory))


@ca.command("export")
@directory_option
@data_option
def ca_export(directory: Path | None, data: Path) -> None:
    """Print the CA's certificate: what clients trust, as AWS_CA_BUNDLE names it."""
    from farspan.cli.ca import run_ca_export

    raise SystemExit(run_ca_export(data, directory))


@main.command()
@click.option("--dns", is_flag=True, help="For programs whose resolver is the name server.")
@data_option
def env(data: Path, *, dns: bool) -> None:
    """Print the exports with which SDKs and the AWS CLI find what `farspan up` started."""
    from farspan.cli.up import print_environment

    raise SystemExit(print_environment(data, dns=dns))


@main.command()
@click.option("--regions", default=DEFAULT_REGIONS, show_default=True, help="Primary, secondary.")
@click.option("--rate", default=200.0, show_default=True, help="Events per second.")
@click.option("--seconds", default=24.0, show_default=True, help="How long to publish at least.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report here as JSON.",
)
def demo(regions: str, rate: float, seconds: float, json_file: Path | None) -> None:
    """Kill a Region in mid-stream and count what is lost, with boto3 as the client."""
    from farspan.cli.demo import run_demo

    raise SystemExit(
        run_demo(regions=_region_names(regions), rate=rate, seconds=seconds, json_file=json_file)
    )


@main.command()
@click.argument("scenario", type=click.Choice(SCENARIOS))
@click.argument("region", required=False)
@click.option(
    "--for",
    "for_",
    type=DURATION,
    default="30s",
    show_default=True,
    metavar="TIME",
    help="How long the fault lasts.",
)
@click.option(
    "--before",
    type=DURATION,
    default="5s",
    show_default=True,
    metavar="TIME",
    help="How long all is well before it.",
)
@click.option(
    "--wait",
    type=DURATION,
    default="2m",
    show_default=True,
    metavar="TIME",
    help="How long failback may take after the heal.",
)
@click.option("--rate", type=RATE, default=50.0, show_default=True, help="Events per second.")
@click.option(
    "--assert",
    "assertions",
    multiple=True,
    metavar="A",
    help="Such as rto<=5s; may be repeated.  [default: lost=0 and failed_calls=0]",
)
@click.option("--endpoint", metavar="NAME", help="Use this endpoint rather than one of its own.")
@click.option("--up", is_flag=True, help="Start a deployment for the drill, and remove it.")
@click.option("--regions", default=DEFAULT_REGIONS, show_default=True, help="Those of --up.")
@click.option(
    "--replication",
    type=click.Choice(["async", "sync", "sync_or_async"]),
    default="async",
    show_default=True,
    help="How --up's endpoint replicates.",
)
@click.option("--json", "json_", type=NEW_FILE, metavar="F", help="Write the report as JSON.")
@click.option("--html", type=NEW_FILE, metavar="F", help="Write it as a page with a plot.")
@click.option("--junit", type=NEW_FILE, metavar="F", help="Write a test case per assertion.")
@click.option("--endpoint-url", help="The deployment.  [default: AWS_ENDPOINT_URL, or --data's]")
@data_option
def drill(**words: Any) -> None:  # noqa: ANN401 - click names them, and Options types them
    """Make a fault on purpose, and measure what it did to a stream of events.

    region-down kills REGION's node, region-hang stops it, region-cut cuts it off, health-invert
    inverts its health check. REGION is the primary unless named. Exit code 0 if every assertion
    holds, 1 if one does not, 2 if the drill could not be run.
    """
    from farspan.cli.drill import Options, run_drill
    from farspan.cli.faults import Scenario

    files = {"json": words["json_"], "html": words["html"], "junit": words["junit"]}
    raise SystemExit(
        run_drill(
            Options(
                scenario=Scenario(words["scenario"]),
                region=words["region"],
                fault_seconds=words["for_"],
                before_seconds=words["before"],
                failback_seconds_max=words["wait"],
                rate=words["rate"],
                assertions=words["assertions"],
                endpoint=words["endpoint"],
                up=words["up"],
                regions=_region_names(words["regions"]),
                replication=words["replication"],
                files={form: path for form, path in files.items() if path is not None},
                data=words["data"],
                endpoint_url=words["endpoint_url"],
            )
        )
    )


@main.command()
@click.option("--pattern", required=True, metavar="F", help="The pattern: a file, - or JSON.")
@click.option("--event", required=True, metavar="F", help="The event: a file, - or JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print the explanation as data.")
def explain(pattern: str, event: str, *, as_json: bool) -> None:
    """Say why an event matches a pattern or not: exit code 0, 1, or 2 for a bad pattern."""
    from farspan.cli.explain import run_explain

    raise SystemExit(run_explain(pattern, event, as_json=as_json))


@main.command("why-not")
@click.argument("rule")
@click.option("--bus", default="default", show_default=True, help="The rule's event bus.")
@click.option("--event", metavar="F", help="The event: a file, - or JSON.")
@click.option(
    "--last",
    type=click.IntRange(1, 100),
    help="Ask about the bus's last N events.  [default: 10, unless --event is given]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the explanations as data.")
@click.option("--endpoint-url", help="The deployment.  [default: AWS_ENDPOINT_URL, or --data's]")
@click.option("--region", help="The Region.  [default: AWS_REGION, or --data's first]")
@data_option
def why_not(
    rule: str,
    bus: str,
    event: str | None,
    last: int | None,
    *,
    as_json: bool,
    endpoint_url: str | None,
    region: str | None,
    data: Path,
) -> None:
    """Say why RULE does not match an event, or the last events of its bus."""
    from farspan.cli.remote import open_remote
    from farspan.cli.why_not import Question, run_why_not

    remote = open_remote(data, url=endpoint_url, region=region)
    question = Question(rule=rule, bus=bus, event=event, last=last)
    raise SystemExit(run_why_not(remote, question, as_json=as_json))


@main.group()
def endpoint() -> None:
    """See, force, pause and release the routes of global endpoints."""


P = ParamSpec("P")


def _remote_options(command: Callable[P, None]) -> Callable[P, None]:
    """Add the options that say which deployment is asked, and how the answer is printed."""
    for option in (
        data_option,
        click.option("--region", help="The Region.  [default: AWS_REGION, or --data's first]"),
        click.option(
            "--endpoint-url", help="The deployment.  [default: AWS_ENDPOINT_URL, or --data's]"
        ),
        click.option("--json", "as_json", is_flag=True, help="Print the answer as data."),
    ):
        command = option(command)
    return command


@endpoint.command("list")
@_remote_options
def endpoint_list(
    *, as_json: bool, endpoint_url: str | None, region: str | None, data: Path
) -> None:
    """List the account's endpoints and their routes."""
    from farspan.cli.endpoint import run_list
    from farspan.cli.remote import open_remote

    raise SystemExit(run_list(open_remote(data, url=endpoint_url, region=region), as_json=as_json))


@endpoint.command("show")
@click.argument("name")
@_remote_options
def endpoint_show(
    name: str, *, as_json: bool, endpoint_url: str | None, region: str | None, data: Path
) -> None:
    """Show the route of endpoint NAME, the votes and what is ordered."""
    from farspan.cli.endpoint import run_show
    from farspan.cli.remote import open_remote

    remote = open_remote(data, url=endpoint_url, region=region)
    raise SystemExit(run_show(remote, name, as_json=as_json))


@endpoint.command("history")
@click.argument("name")
@_remote_options
def endpoint_history(
    name: str, *, as_json: bool, endpoint_url: str | None, region: str | None, data: Path
) -> None:
    """Tell when the route of endpoint NAME changed, and why."""
    from farspan.cli.endpoint import run_history
    from farspan.cli.remote import open_remote

    remote = open_remote(data, url=endpoint_url, region=region)
    raise SystemExit(run_history(remote, name, as_json=as_json))


def _for_option(until: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    text = f"For how long; without it until {until}."
    return click.option("--for", "seconds", type=Duration(), metavar="10m", help=text)


@endpoint.command("route")
@click.argument("name")
@click.option(
    "--to",
    required=True,
    type=click.Choice(["PRIMARY", "SECONDARY", "auto"], case_sensitive=False),
    help="The route, or auto: by health again.",
)
@_for_option("auto")
@click.option("--reason", default="", help="For the history.")
@_remote_options
def endpoint_route(
    name: str,
    *,
    to: str,
    seconds: float | None,
    reason: str,
    as_json: bool,
    endpoint_url: str | None,
    region: str | None,
    data: Path,
) -> None:
    """Force the route of endpoint NAME, or leave it to the votes again."""
    from farspan.cli.endpoint import run_override
    from farspan.cli.remote import open_remote

    route = None if to.lower() == "auto" else to.upper()
    if route is None and seconds is not None:
        raise click.UsageError("--for goes with PRIMARY and SECONDARY.")
    order = {"route": route, "seconds": seconds, "reason": reason}
    remote = open_remote(data, url=endpoint_url, region=region)
    raise SystemExit(run_override(remote, name, order, as_json=as_json))


@endpoint.command("pause")
@click.argument("name")
@_for_option("resume")
@click.option("--reason", default="", help="For the history.")
@_remote_options
def endpoint_pause(
    name: str,
    *,
    seconds: float | None,
    reason: str,
    as_json: bool,
    endpoint_url: str | None,
    region: str | None,
    data: Path,
) -> None:
    """Keep the route of endpoint NAME where it is, whatever the votes say."""
    from farspan.cli.endpoint import run_override
    from farspan.cli.remote import open_remote

    order = {"paused": True, "seconds": seconds, "reason": reason}
    remote = open_remote(data, url=endpoint_url, region=region)
    raise SystemExit(run_override(remote, name, order, as_json=as_json))


@endpoint.command("resume")
@click.argument("name")
@_remote_options
def endpoint_resume(
    name: str, *, as_json: bool, endpoint_url: str | None, region: str | None, data: Path
) -> None:
    """Let the votes move the route of endpoint NAME again."""
    from farspan.cli.endpoint import run_override
    from farspan.cli.remote import open_remote

    remote = open_remote(data, url=endpoint_url, region=region)
    raise SystemExit(run_override(remote, name, {}, as_json=as_json))


@main.command()
@click.argument("store", metavar="REGION|DIR")
@click.option(
    "--to",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The new file.",
)
@data_option
def backup(store: str, to: Path, data: Path) -> None:
    """Copy a Region's store into one file, while the Region runs."""
    from farspan.cli.stores import run_backup

    raise SystemExit(run_backup(data, store, to))


@main.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("store", metavar="REGION|DIR")
@data_option
def restore(file: Path, store: str, data: Path) -> None:
    """Put the backup FILE where a Region has no store; then start the Region."""
    from farspan.cli.stores import run_restore

    raise SystemExit(run_restore(data, file, store))


@main.command()
@click.argument("store", metavar="REGION|DIR|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print what was found as data.")
@data_option
def check(store: str, *, as_json: bool, data: Path) -> None:
    """Look for faults in a store or a backup, also while its Region runs."""
    from farspan.cli.stores import run_check

    raise SystemExit(run_check(data, store, as_json=as_json))


@main.group()
def function() -> None:
    """Lambda functions at URLs of their own, such as runtime interface emulators."""


def _function_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        data_option,
        click.option("--region", help="This Region alone.  [default: every Region of --data]"),
        click.option(
            "--endpoint-url", help="The deployment.  [default: AWS_ENDPOINT_URL, --data's]"
        ),
    ):
        command = option(command)
    return command


@function.command("add")
@click.argument("name")
@click.option("--url", required=True, help="Where it is invoked, e.g. http://127.0.0.1:9000")
@_function_options
def function_add(
    name: str, url: str, endpoint_url: str | None, region: str | None, data: Path
) -> None:
    """Make function NAME known, or give it another URL; rules can then have it as a target."""
    from farspan.cli.functions import run_add

    raise SystemExit(run_add(data, endpoint_url, region, name=name, url=url))


@function.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print them as data.")
@_function_options
def function_list(
    endpoint_url: str | None, region: str | None, data: Path, *, as_json: bool
) -> None:
    """Show the functions that have a URL, Region by Region."""
    from farspan.cli.functions import run_list

    raise SystemExit(run_list(data, endpoint_url, region, as_json=as_json))


@function.command("remove")
@click.argument("name")
@_function_options
def function_remove(name: str, endpoint_url: str | None, region: str | None, data: Path) -> None:
    """Forget function NAME. Rules keep it as a target, and its events become dead letters."""
    from farspan.cli.functions import run_remove

    raise SystemExit(run_remove(data, endpoint_url, region, name=name))


def _region_names(text: str) -> tuple[str, ...]:
    from farspan.config import REGION_NAME

    names = tuple(name.strip() for name in text.split(",") if name.strip())
    wrong = [name for name in names if not REGION_NAME.fullmatch(name)]
    if wrong:
        raise click.BadParameter(f"`{wrong[0]}` is no Region name such as us-east-1.")
    if len(set(names)) != 2 or len(names) != 2:  # noqa: PLR2004 - an endpoint has two Regions
        raise click.BadParameter("name two different Regions, such as us-east-1,us-west-2.")
    return names
