"""Prints one simulated history: `python tests/simulation/run.py SEED`.

The same seed gives the same bytes. Ends with status 1 where a guarantee did not hold.
"""

from __future__ import annotations

import sys

from simulator.checkers import Violation
from simulator.world import World


def main() -> int:
    """Live the history of the seed in the arguments, tell it, and fail where a guarantee did."""
    world = World(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
    try:
        world.run()
    except Violation:
        return 1
    finally:
        sys.stdout.write(world.history())
    return 0


if __name__ == "__main__":
    sys.exit(main())
