"""Makes the package `simulator` importable, as it is for `run.py`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
