"""Event patterns: compile what PutRule takes, say which rules an event matches, and explain why.

Text in, verdict out. Nothing in this package may do I/O, read a clock or roll dice.
"""

from __future__ import annotations

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

__all__ = [
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
