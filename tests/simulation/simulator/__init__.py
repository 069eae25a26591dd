"""Two Regions, at sites of three nodes, in one process and thread, at the mercy of a seed."""

from __future__ import annotations
