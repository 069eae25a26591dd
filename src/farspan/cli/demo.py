"""`farspan demo`: a Region dies in mid-stream, and every event is counted.

A drill of scenario region-down on a deployment of its own, with a shop's events: two Regions and an
edge in a directory that goes when it ends.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console

from farspan.cli.canary import CanaryMaker
from farspan.cli.drill import RATE_MAX, environment_of, fault_of, introduce, own_place, run_guarded
from farspan.cli.drill_run import Drill, Plan
from farspan.cli.faults import Means, Scenario
from farspan.cli.report import print_report
from farspan.cli.resources import PATTERN, health_check_of
from farspan.cli.shop import shop_calls
from farspan.drill.assertions import parse_assertion
from farspan.drill.report import DrillReport

DEMO_NAME = "shop"
SEED = 1
BEFORE_SHARE = 0.25
FAULT_SHARE = 0.30
FAILBACK_SECONDS_MAX = 20.0
ASSERTIONS = ("lost=0", "missing=0", "failed_calls=0", f"failback<={FAILBACK_SECONDS_MAX:g}s")


def run_demo(*, regions: Sequence[str], rate: float, seconds: float, json_file: Path | None) -> int:
    """Run the demo. Returns 0 only if nothing was lost and no call failed."""
    if not 1.0 <= rate <= RATE_MAX or not 4.0 <= seconds <= 600.0:  # noqa: PLR2004 - in the text
        click.echo("farspan: --rate takes 1 to 5000, --seconds takes 4 to 600.", err=True)
        return 2
    primary, secondary = regions

    def demo(console: Console) -> int:
        with contextlib.ExitStack() as stack:
            place = own_place(stack, (primary, secondary), Scenario.REGION_DOWN)
            maker = CanaryMaker(place.client, place.undo, DEMO_NAME)
            check = health_check_of(place.urls[primary])
            endpoint = maker.make_endpoint((primary, secondary), check)
            fault_seconds = seconds * FAULT_SHARE
            plan = Plan(
                scenario=Scenario.REGION_DOWN,
                region=primary,
                fault=fault_of(
                    place, Scenario.REGION_DOWN, Means.SIGNAL, endpoint, primary, fault_seconds
                ),
                endpoint=endpoint,
                queue_urls=maker.make_queues(endpoint, PATTERN),
                calls=shop_calls(endpoint.event_bus_arns[0], SEED),
                rate=rate,
                before_seconds=seconds * BEFORE_SHARE,
                fault_seconds=fault_seconds,
                failback_seconds_max=FAILBACK_SECONDS_MAX,
                seconds_min=seconds,
            )
            introduce(console, place, plan, [])
            drill = Drill(place.remote, console, plan)
            report = drill.run(
                [parse_assertion(text) for text in ASSERTIONS], environment_of(place, endpoint), []
            )
        print_report(console, report)
        if json_file is not None:
            found = msgspec.json.encode(demo_figures(report))
            json_file.write_bytes(msgspec.json.format(found, indent=2) + b"\n")
            console.print(f"Report written to {json_file}", markup=False, highlight=False)
        return 0 if report.passed else 1

    return run_guarded(demo)


def demo_figures(report: DrillReport) -> dict[str, Any]:
    """Return the figures of one run; the names are the stable ones of the demo's `--json`."""
    value = {name: finding.value for name, finding in report.findings.items()}
    return {
        "regions": [report.region, report.other],
        "rate": report.rate,
        "acknowledged": value["events"],
        "acknowledged_matching": report.expected,
        "acknowledged_by_region": report.acknowledged_by_region,
        "failed_calls": (value["failed_calls"] or 0) + (value["failed_entries"] or 0),
        "failures": report.failures,
        "sdk_retries": value["sdk_retries"],
        "slowest_call_seconds": value["slowest_call"],
        "lost": value["lost"],
        "received": report.received_by_region,
        "same_ids": value["missing"] == 0,
        "duplicates": value["duplicates"],
        "rto_seconds": value["rto"],
        "failback_seconds": value["failback"],
        "replication_lag_seconds_p50": value["lag_p50"],
        "replication_lag_seconds_p99": value["lag_p99"],
    }
