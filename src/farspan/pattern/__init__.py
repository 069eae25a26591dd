"""Event patterns: compile what PutRule takes, then say which rules an event matches.

Text in, verdict out. Nothing in this package may do I/O, read a clock or roll dice.
"""

from __future__ import annotations

from typing import Final

from farspan.pattern import match
from farspan.pattern.match import CompiledPattern, Matcher, compile_pattern

#: Whether the modules that were loaded are machine code; FARSPAN_PURE=1 loads the Python ones.
COMPILED: Final = not match.__file__.endswith(".py")

__all__ = ["COMPILED", "CompiledPattern", "Matcher", "compile_pattern"]
