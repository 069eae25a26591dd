"""Probes: the entries that a drill puts, each known by its number and its drill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

SOURCE = "farspan.drill"
DETAIL_TYPE = "Drill Probe"


@dataclass(frozen=True, slots=True)
class Probe:
    """One entry to put, and whether the canary's rule matches it."""

    entry: dict[str, str]
    matches: bool


def probes(event_bus_arn: str, drill: str) -> Iterator[list[Probe]]:
    """Yield the entries of one call after the other, without end: one entry a call.

    More calls rather than larger ones: the time between two is what RTO is measured in.
    """
    number = 0
    while True:
        number += 1
        entry = {
            "Source": SOURCE,
            "DetailType": DETAIL_TYPE,
            "Detail": json.dumps({"drill": drill, "number": number}),
            "EventBusName": event_bus_arn,
        }
        yield [Probe(entry, matches=True)]


def pattern_of(drill: str) -> str:
    """Return the event pattern that only this drill's probes match."""
    return json.dumps({"source": [SOURCE], "detail": {"drill": [drill]}})
