"""Event patterns: compile what PutRule takes, say which rules an event matches, and explain why.

Text in, verdict out. Nothing in this package may do I/O, read a clock or roll dice.
"""

from __future__ import annotations

from typing import Final

from farspan.pattern import match
from farspan.pattern.explain import explain
from farspan.pattern.explanation import (
    AlternativeExplanation,
    Explanation,
    FieldExplanation,
    NearestMiss,
    OrExplanation,
)
from farspan.pattern.hints import Hint
from farspan.pattern.match import CompiledPattern, Matcher, compile_pattern

#: Whether the modules that were loaded are machine code; FARSPAN_PURE=1 loads the Python ones.
COMPILED: Final = not match.__file__.endswith(".py")

__all__ = [
    "COMPILED",
    "AlternativeExplanation",
    "CompiledPattern",
    "Explanation",
    "FieldExplanation",
    "Hint",
    "Matcher",
    "NearestMiss",
    "OrExplanation",
    "compile_pattern",
    "explain",
]
