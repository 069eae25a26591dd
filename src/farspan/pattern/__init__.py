"""Event patterns: compile what PutRule takes, then say which rules an event matches.

Text in, verdict out. Nothing in this package may do I/O, read a clock or roll dice.
"""

from __future__ import annotations

from farspan.pattern.match import CompiledPattern, Matcher, compile_pattern

__all__ = ["CompiledPattern", "Matcher", "compile_pattern"]
