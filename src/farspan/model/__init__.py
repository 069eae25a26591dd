"""The nouns of Farspan, frozen and pure: no I/O, no clock, no policy beyond what a noun is."""

from __future__ import annotations
