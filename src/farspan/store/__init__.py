"""The storage port and its engines; what they promise is written in base."""

from __future__ import annotations
