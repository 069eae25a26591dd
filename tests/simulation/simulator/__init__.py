"""Two Regions and an edge in one process and one thread, at the mercy of a seed."""

from __future__ import annotations
