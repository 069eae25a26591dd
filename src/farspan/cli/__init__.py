"""The command line: starts nodes, and is a client of the public API like any other.

Exit codes: 0 done; 1 it failed, or an assertion did; 2 the words are off; 130 interrupted.
Each command imports what it needs when it runs, so that `farspan --help` is quick.
"""

from __future__ import annotations

from pathlib import Path

import click

from farspan import __version__

DEFAULT_DATA = Path(".farspan")
DEFAULT_REGIONS = "us-east-1,us-west-2"

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
def up(regions: str, port: int, data: Path, *, empty: bool, restart: bool, auth: str) -> None:
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
@data_option
def env(data: Path) -> None:
    """Print the exports with which SDKs and the AWS CLI find what `farspan up` started."""
    from farspan.cli.up import print_environment

    raise SystemExit(print_environment(data))


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


def _region_names(text: str) -> tuple[str, ...]:
    from farspan.config import REGION_NAME

    names = tuple(name.strip() for name in text.split(",") if name.strip())
    wrong = [name for name in names if not REGION_NAME.fullmatch(name)]
    if wrong:
        raise click.BadParameter(f"`{wrong[0]}` is no Region name such as us-east-1.")
    if len(set(names)) != 2 or len(names) != 2:  # noqa: PLR2004 - an endpoint has two Regions
        raise click.BadParameter("name two different Regions, such as us-east-1,us-west-2.")
    return names
