"""Runs Farspan's matcher over one set of the benchmark, at the command of `patterns.py`.

Rules, events and the number of events to check come as arguments; then `pass SECONDS` measures and
`remove STEP` takes rules out. Each answer is one line of JSON. bench/ruler answers the same way.
Seconds are those in which this process had a core. Only `farspan.pattern`'s public API is used.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from farspan import pattern

CHUNK_EVENTS: Final = 64
WARM_SECONDS_MAX: Final = 1.0


def say(**members: Any) -> None:
    """Answer."""
    print(json.dumps(members), flush=True)


def resident_bytes() -> int:
    """Return the resident set of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Worker:
    """One matcher with its rules, and the events."""

    def __init__(self, rules: list[str], events: list[bytes]) -> None:
        self.rules, self.events = rules, events
        self.matcher = pattern.Matcher[int]()
        laps = -(-CHUNK_EVENTS // len(events))
        source = events * laps
        self.chunks = [
            source[start : start + CHUNK_EVENTS] for start in range(0, len(source), CHUNK_EVENTS)
        ]

    def load(self) -> None:
        """Compile and add every rule; tell what one took."""
        gc.collect()
        before, count = resident_bytes(), len(self.rules)
        began = time.process_time()
        compiled = [pattern.compile_pattern(rule) for rule in self.rules]
        halfway = time.process_time()
        for number, one in enumerate(compiled):
            self.matcher.add(number, one)
        ended = time.process_time()
        del compiled
        gc.collect()
        say(
            engine="farspan compiled" if pattern.COMPILED else "farspan pure",
            add_us=(ended - began) * 1e6 / count,
            of_which_compile_us=(halfway - began) * 1e6 / count,
            bytes_per_rule=(resident_bytes() - before) / count,
        )

    def check(self, checked: int) -> None:
        """Tell a sum that two engines share only if their answers are the same."""
        total = found = 0
        for number, event in enumerate(self.events[:checked], start=1):
            for rule in self.matcher.match(event):
                total += number * (rule + 1)
                found += 1
        say(checksum=total, matches=found)

    def run(self, seconds: float) -> float:
        """Return events per second."""
        match, chunks, clock = self.matcher.match, self.chunks, time.process_time
        turn = count = matches = 0
        began = clock()
        while (elapsed := clock() - began) < seconds:
            chunk = chunks[turn]
            for event in chunk:
                matches += len(match(event))
            count += len(chunk)
            turn = (turn + 1) % len(chunks)
        return count / elapsed

    def remove(self, step: int) -> None:
        """Take out every rule whose number divides by `step`; tell what one took."""
        numbers = range(0, len(self.rules), step)
        began = time.process_time()
        for number in numbers:
            self.matcher.remove(number)
        say(remove_us=(time.process_time() - began) * 1e6 / len(numbers))


def main() -> None:
    """Load, check, warm up, then obey."""
    rules, events, checked, warm_seconds = sys.argv[1:]
    worker = Worker(Path(rules).read_text().splitlines(), Path(events).read_bytes().splitlines())
    worker.load()
    worker.check(int(checked))
    say(warm_events_per_second=worker.run(min(WARM_SECONDS_MAX, float(warm_seconds))))
    for line in sys.stdin:
        word, _, value = line.strip().partition(" ")
        if word == "pass":
            say(events_per_second=worker.run(float(value)))
        elif word == "remove":
            worker.remove(int(value))


if __name__ == "__main__":
    main()
