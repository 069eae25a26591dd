"""Texts with wildcards and policy variables: reading them, and filling the variables in.

`${aws:username}` stands for the value of a key of the request, `${aws:username, 'nobody'}` has a
default, and `${*}`, `${?}` and `${$}` stand for those characters themselves. What a variable
brings in is literal: a wildcard in a request's value is no wildcard. Source: IAM user guide,
"Policy variables". Nothing here may know which element the text stands in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from farspan.policy.glob import Glob, Token, Wild

Context = Mapping[str, tuple[str | None, ...]]
"""The request's context: keys in lower case, each with at least one value.

None is a value that nobody can tell, such as what the prefix in an event pattern will match.
"""

ARN_SEGMENTS: Final = 6
_VARIABLE: Final = re.compile(r"\$\{([^{}]*)\}")
_ESCAPES: Final = frozenset("*?$")
#: A text with its variables filled in: a policy's longest, and half as much again.
FILLED_CHARS_MAX: Final = 16_384
_CACHED_TEXTS_MAX: Final = 4_096  # a few thousand policies' worth; each is at most a policy long
_CACHED_GLOBS_MAX: Final = 1_024
#: A compiled pattern may take the square of its length, so that long ones are not kept.
_CACHED_GLOB_CHARS_MAX: Final = 512


@dataclass(frozen=True, slots=True)
class Variable:
    """A policy variable: its key in lower case, and its default."""

    key: str
    default: str | None = None

    def value_in(self, context: Context) -> str | None:
        """Return the text it stands for; None without one, or with several to choose from."""
        values = context.get(self.key)
        if values is None:
            return self.default
        return values[0] if len(values) == 1 else None


Piece = Token | Variable


@lru_cache(maxsize=_CACHED_TEXTS_MAX)
def read_template(text: str, *, variables: bool) -> tuple[Piece, ...]:
    """Return the literals, wildcards and variables that `text` is made of, in order."""
    pieces: list[Piece] = []
    position = 0
    for found in _VARIABLE.finditer(text) if variables else ():
        pieces.extend(_wildcards(text[position : found.start()]))
        pieces.append(_variable(found[1]))
        position = found.end()
    pieces.extend(_wildcards(text[position:]))
    return tuple(pieces)


def variables_of(text: str) -> tuple[Variable, ...]:
    """Return the variables that a text of version 2012-10-17 uses."""
    pieces = read_template(text, variables=True)
    return tuple(piece for piece in pieces if isinstance(piece, Variable))


def fill(pieces: tuple[Piece, ...], context: Context) -> tuple[Token, ...] | None:
    """Return the pieces with variables replaced.

    None where one has no value, or where values make the text longer than any policy needs.
    """
    tokens: list[Token] = []
    length = 0
    for piece in pieces:
        token = piece.value_in(context) if isinstance(piece, Variable) else piece
        if token is None:
            return None
        tokens.append(token)
        length += len(token) if isinstance(token, str) else 1
    return tuple(tokens) if length <= FILLED_CHARS_MAX else None


def literal(tokens: tuple[Token, ...]) -> str:
    """Return the tokens as one text in which wildcards are mere characters."""
    return "".join(token.value if isinstance(token, Wild) else token for token in tokens)


def glob_of(tokens: tuple[Token, ...]) -> Glob:
    """Return the compiled pattern."""
    length = sum(len(token) if isinstance(token, str) else 1 for token in tokens)
    return _cached_glob(tokens) if length <= _CACHED_GLOB_CHARS_MAX else Glob.of(tokens)


def segments_of(pieces: tuple[Piece, ...]) -> tuple[tuple[Piece, ...], ...]:
    """Split the template of an ARN at its first five colons.

    A colon that a variable brings in separates nothing, which is why this precedes `fill`.
    """
    segments: list[list[Piece]] = [[]]
    for piece in pieces:
        if not isinstance(piece, str):
            segments[-1].append(piece)
            continue
        first, *others = piece.split(":", ARN_SEGMENTS - len(segments))
        segments[-1].extend([first] if first else [])
        segments.extend([other] if other else [] for other in others)
    return tuple(tuple(segment) for segment in segments)


@lru_cache(maxsize=_CACHED_GLOBS_MAX)
def _cached_glob(tokens: tuple[Token, ...]) -> Glob:
    return Glob.of(tokens)


def _variable(content: str) -> Piece:
    if content in _ESCAPES:
        return content
    key, comma, default = (part.strip() for part in content.partition(","))
    if not comma:
        return Variable(key.lower())
    quoted = len(default) >= len("''") and default[0] == default[-1] == "'"
    return Variable(key.lower(), default[1:-1]) if quoted else Variable(content.lower())


def _wildcards(text: str) -> list[Piece]:
    pieces = re.split(r"([*?])", text)
    return [Wild(piece) if piece in {"*", "?"} else piece for piece in pieces if piece]
