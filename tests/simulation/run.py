"""Lives simulated histories.

`run.py SEED` tells one, and `run.py --seeds N` lives those of the first N seeds, up to the first
violation. The same seed gives the same bytes. Ends with status 1 where a guarantee did not hold.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from collections import Counter

from simulator.checkers import Violation
from simulator.world import World

CONFIDENT_COUNT = 3
"""The rule of three: what never happened in n trials is rarer than 3/n, with 95 % confidence."""


def tell(seed: int) -> int:
    """Live the history of a seed, tell it, and fail where a guarantee did."""
    world = World(seed)
    try:
        world.run()
    except Violation:
        return 1
    finally:
        sys.stdout.write(world.history())
    return 0


def live(seed: int) -> tuple[Counter[str], str]:
    """Live the history of a seed; return what it had, and which guarantee did not hold."""
    world = World(seed)
    try:
        world.run()
    except Violation as violation:
        return world.counts(), str(violation)
    return world.counts(), ""


def live_all(seed_count: int) -> int:
    """Live the histories of the first seeds on all cores, and say how far that goes as a proof."""
    counts = Counter[str]()
    with multiprocessing.Pool() as pool:
        for seed, (each, violation) in enumerate(pool.imap(live, range(seed_count), chunksize=4)):
            counts += each
            if violation:
                say(f"seed {seed}: {violation}")
                say(f"make sim SEED={seed} tells its history")
                return 1
    say(f"{seed_count} histories: " + ", ".join(f"{n} {what}" for what, n in counts.items()))
    say(
        f"0 violations: with 95 % confidence fewer than {CONFIDENT_COUNT}/{seed_count} = "
        f"{100 * CONFIDENT_COUNT / seed_count:.3g} % of such histories have one"
    )
    return 0


def say(line: str) -> None:
    """Write a line."""
    sys.stdout.write(line + "\n")


def main() -> int:
    """Do what the arguments ask."""
    parser = argparse.ArgumentParser(description="Lives simulated histories.")
    parser.add_argument("seed", type=_natural, nargs="?", default=1, help="the history to tell")
    parser.add_argument("--seeds", type=_count, metavar="N", help="how many to live")
    arguments = parser.parse_args()
    return live_all(arguments.seeds) if arguments.seeds else tell(arguments.seed)


def _natural(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 on")
    return int(text)


def _count(text: str) -> int:
    if not _natural(text):
        raise argparse.ArgumentTypeError("no history proves nothing: give a number from 1 on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
