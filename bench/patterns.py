"""Measures the event-pattern matcher: pure, compiled, and beside event-ruler, on one core.

For each set of rules every engine gets a process of its own that loads the same files and warms up;
then they take turns at measured passes, so that what else the machine does meets all alike. Each
adds up event number times rule number over its matches: engines with equal sums gave equal answers.
Run it as `make bench-patterns`; with `ARGS=--ruler` beside event-ruler (see ruler/README.md).
All sets together take more than an hour; `--families`, `--rules` and `--lots` choose among them.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).parent))
from pattern_data import FAMILIES, LOTS_SETS, family, lines, lots
from run import write_results

ROOT: Final = Path(__file__).parent.parent
COMPILED: Final = ROOT / "build" / "compiled"
RULER: Final = ROOT / "build" / "ruler"
EVENTS: Final = 20_000
EVENTS_CHECKED_MAX: Final = 2_000
EVENTS_CHECKED_MIN: Final = 100
#: Events times rules in the comparison of answers, so that a linear engine also gets through it.
CHECKS_MAX: Final = 2_000_000
#: With fewer rules than this, what the process takes for itself hides what they take.
RULES_FOR_MEMORY_MIN: Final = 1_000
REMOVED_MAX: Final = 1_000
NOTE: Final = (
    "farspan takes bytes, event-ruler (Serial GC, default configuration) java.lang.String; events "
    "per second are medians of passes; seconds and us are CPU time of the process, JIT and "
    "collector included, so that other processes do not count; add_us includes compiling the "
    "pattern; bytes_per_rule is resident memory for Python and used heap for Java; "
    "event-ruler warms up for 640,000 events or warm_seconds"
)


class Engine:
    """One engine's process with one set; an engine that failed stays failed."""

    def __init__(self, name: str, command: Sequence[str], environment: dict[str, str]) -> None:
        self.name = name
        self.figures: dict[str, Any] = {}
        self.rates: list[float] = []
        self._unread = b""
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | environment,
            bufsize=0,
        )

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    @property
    def failed(self) -> bool:
        """Whether the engine is out of the race; `figures` say why."""
        return "failed" in self.figures

    def start(self, timeout_seconds: float) -> None:
        """Wait until rules are loaded, answers checked and the engine warm."""
        until = time.monotonic() + timeout_seconds
        for phase in ("adding the rules", "checking the answers", "warming up"):
            self._take_answer(phase, until)

    def measure(self, seconds: float, timeout_seconds: float) -> None:
        """Run one pass."""
        self._ask(f"pass {seconds}", timeout_seconds)
        if not self.failed:
            self.rates.append(self.figures.pop("events_per_second"))

    def finish(self, step: int, timeout_seconds: float) -> dict[str, Any]:
        """Time the removal of rules; return all figures."""
        self._ask(f"remove {step}", timeout_seconds)
        if self.rates:
            self.figures["events_per_second"] = statistics.median(self.rates)
        return {
            name: round(value, 1) if isinstance(value, float) else value
            for name, value in self.figures.items()
        }

    def _ask(self, command: str, timeout_seconds: float) -> None:
        if self.failed or self._process.stdin is None:
            return
        self._process.stdin.write(f"{command}\n".encode())
        self._take_answer(command.split(maxsplit=1)[0], time.monotonic() + timeout_seconds)

    def _take_answer(self, phase: str, until: float) -> None:
        if self.failed or self._process.stdout is None:
            return
        while b"\n" not in self._unread:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._process.stdout], [], [], left)[0]:
                self.figures["failed"] = f"timeout in {phase}"
                self._process.kill()
                return
            chunk = os.read(self._process.stdout.fileno(), 65_536)
            if not chunk:
                self.figures["failed"] = f"ended in {phase}"
                return
            self._unread += chunk
        line, _, self._unread = self._unread.partition(b"\n")
        self.figures |= json.loads(line)


class Bench:
    """What the options ask for, on files in one directory."""

    def __init__(self, options: argparse.Namespace, directory: Path) -> None:
        self._options, self._directory = options, directory
        self._pinned = ["taskset", "-c", str(options.core)]
        self.results: dict[str, dict[str, Any]] = {}

    def run(self) -> None:
        """Measure every set that is asked for."""
        for name in self._options.families:
            for count in self._options.rules:
                events, rules = family(name, count, EVENTS, self._options.seed)
                self._run_set(f"{name} {count}", events, rules)
        for name in self._options.lots:
            events, rules = lots(name, EVENTS, self._options.seed)
            self._run_set(f"lots {name}", events, rules)

    def _run_set(self, name: str, events: list[Any], rules: list[Any]) -> None:
        paths = self._directory / "rules.json", self._directory / "events.json"
        paths[0].write_bytes(lines(rules))
        paths[1].write_bytes(lines(events))
        checked = max(EVENTS_CHECKED_MIN, min(EVENTS_CHECKED_MAX, CHECKS_MAX // len(rules)))
        arguments = [*map(str, paths), str(checked), str(self._options.warm)]
        limit, step = self._options.timeout, -(-len(rules) // REMOVED_MAX)
        engines = self._engines(arguments)
        try:
            for engine in engines:
                engine.start(limit)
            for _ in range(self._options.passes):
                for engine in engines:
                    engine.measure(self._options.seconds, limit)
            figures = {engine.name: engine.finish(step, limit) for engine in engines}
        finally:
            for engine in engines:
                engine.close()
        if len(rules) < RULES_FOR_MEMORY_MIN:
            for one in figures.values():
                one.pop("bytes_per_rule", None)
        self.results[name] = {"rules": len(rules)} | figures | _comparison(figures)
        print(_row(name, self.results[name]), flush=True)

    def _engines(self, arguments: list[str]) -> list[Engine]:
        worker = [sys.executable, str(Path(__file__).with_name("pattern_worker.py"))]
        python = [*self._pinned, *worker, *arguments]
        engines = []
        if "pure" in self._options.engines:
            engines.append(Engine("pure", python, {"FARSPAN_PURE": "1"}))
        if "compiled" in self._options.engines:
            engines.append(Engine("compiled", python, {"PYTHONPATH": str(COMPILED)}))
        if self._options.ruler:
            path = f"{RULER / 'classes'}:{RULER / 'lib'}/*"
            java = ["java", "-XX:+UseSerialGC", "-Xms1g", "-Xmx4g", "-cp", path]
            main = "farspan.bench.RulerWorker"
            engines.append(Engine("ruler", [*self._pinned, *java, main, *arguments], {}))
        return engines


def _comparison(figures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    done = {name: one for name, one in figures.items() if "events_per_second" in one}
    sums = {(one["checksum"], one["matches"]) for one in figures.values() if "checksum" in one}
    told: dict[str, Any] = {"answers_equal": len(sums) == 1 if len(figures) > 1 else None}
    for name in ("pure", "compiled"):
        if name in done and "ruler" in done:
            ratio = done[name]["events_per_second"] / done["ruler"]["events_per_second"]
            told[f"{name}_to_ruler"] = round(ratio, 2)
    return told


COLUMNS: Final = ("pure", "compiled", "ruler")


def _heading() -> str:
    columns = "".join(f"{name + ' ev/s':>16}" for name in COLUMNS)
    return f"{'set':30}{columns}{'pure/ruler':>12}{'comp/ruler':>12}  answers  add us (remove us)"


def _row(name: str, result: dict[str, Any]) -> str:
    rates, costs = "", []
    for engine in COLUMNS:
        figures = result.get(engine, {})
        rate = figures.get("events_per_second")
        rates += f"{rate:16,.0f}" if rate else f"{figures.get('failed', '-')[:15]:>16}"
        if "add_us" in figures:
            costs.append(f"{figures['add_us']:.0f} ({figures.get('remove_us', '-')})")
    ratios = "".join(f"{result.get(f'{one}_to_ruler', '-'):>12}" for one in ("pure", "compiled"))
    answers = {True: "equal", False: "DIFFER", None: "-"}[result["answers_equal"]]
    return f"{name:30}{rates}{ratios}  {answers:8} {' / '.join(costs)}"


def _build_ruler() -> None:
    if shutil.which("java") is None or shutil.which("mvn") is None:
        raise SystemExit("--ruler needs java (17 or later) and mvn on the path")
    pom = Path(__file__).parent / "ruler" / "pom.xml"
    if subprocess.run(["mvn", "-q", "-B", "-f", str(pom), "package"], check=False).returncode:
        raise SystemExit("mvn could not build bench/ruler; what it needs is in its output above")


def _options() -> argparse.Namespace:
    def words(text: str) -> list[str]:
        return [word for word in text.split(",") if word]

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", type=words, default=list(FAMILIES), help="a,b,c")
    parser.add_argument(
        "--rules",
        type=lambda text: [int(word.replace("_", "")) for word in words(text)],
        default=[1, 10, 100, 1_000, 10_000, 100_000],
        help="how many rules, as 1,100",
    )
    parser.add_argument("--lots", type=words, default=list(LOTS_SETS), help="city-lots sets: a,b,c")
    parser.add_argument("--engines", type=words, default=["pure", "compiled"])
    parser.add_argument("--ruler", action="store_true", help="event-ruler as well")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each pass")
    parser.add_argument("--warm", type=float, default=20.0, help="seconds at most, before passes")
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument(
        "--timeout", type=float, default=200, help="seconds, for each step of a set"
    )
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    for asked, known in ((options.families, FAMILIES), (options.lots, LOTS_SETS)):
        if unknown := sorted(set(asked) - set(known)):
            parser.error(f"no such set: {', '.join(unknown)}; there are {', '.join(known)}")
    return options


def main() -> None:
    """Measure, print a table and write the file."""
    options = _options()
    if "compiled" in options.engines and not (COMPILED / "farspan").exists():
        print("no compiled form (`make compiled` builds it): measuring the pure one", flush=True)
        options.engines.remove("compiled")
    if options.ruler:
        _build_ruler()
    print(_heading(), flush=True)
    with tempfile.TemporaryDirectory(prefix="farspan-bench-") as directory:
        bench = Bench(options, Path(directory))
        bench.run()
    write_results(
        bench.results,
        options.out,
        "-patterns",
        note=NOTE,
        seconds_each=options.seconds,
        warm_seconds=options.warm,
        passes=options.passes,
        timeout_seconds=options.timeout,
        seed=options.seed,
    )


if __name__ == "__main__":
    main()
