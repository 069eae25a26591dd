"""Filter patterns of CloudWatch Logs: terms, phrases and conditions on JSON. Pure.

    ERROR timeout "not found"    all of them        ?ERROR ?WARN    one of them
    ERROR -exiting               not that one       ""              everything
    { $.a.b[0] = "x*" && ($.n >= 3 || $.flag IS TRUE) }

Regular expressions between `%` and patterns of space-delimited fields between brackets are refused
by name. Comparing is by text that holds the term, and case counts (AWS: filter pattern syntax).
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, Final

import msgspec

Matches = Callable[[str], bool]
"""Tells whether a message matches."""

Condition = Callable[[Any], bool]
"""Tells whether a decoded message matches."""

DEPTH_MAX: Final = 50
_TERM: Final = re.compile(r'\s*([?-]?)(?:"((?:[^"\\]|\\.)*)"|([A-Za-z0-9_]+))(?=\s|$)')
_TOKEN: Final = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<path>\$(?:\.[\w-]+|\[[^\]]*\])*)|(?P<op>&&|\|\||!=|>=|<=|[()=<>])'
    r"|(?P<word>[^\s()=<>!&|\"]+))"
)
_STEP: Final = re.compile(r'\.([\w-]+)|\[(\d+)\]|\["([^"]+)"\]')
_ORDERED: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,300}(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,3})?")
_MISSING: Final = object()
_decode = msgspec.json.Decoder().decode


class InvalidFilterPattern(Exception):
    """The pattern is none, or of a kind that is not there. The message says which."""


@lru_cache(256)
def compile_filter(text: str) -> Matches:
    """Return what tells whether a message matches. Raises InvalidFilterPattern."""
    pattern = text.strip()
    if not pattern:
        return lambda _: True
    if pattern.startswith("["):
        raise InvalidFilterPattern("Farspan does not have patterns of space-delimited fields yet.")
    if pattern.startswith("{"):
        if not pattern.endswith("}"):
            raise InvalidFilterPattern("Invalid filter pattern")
        return _json_filter(_Reader(pattern[1:-1]).whole())
    return _terms_filter(pattern)


def _terms_filter(pattern: str) -> Matches:
    needed: list[str] = []
    optional: list[str] = []
    unwanted: list[str] = []
    place = 0
    while place < len(pattern):
        found = _TERM.match(pattern, place)
        if found is None:
            if "%" in pattern[place:]:
                raise InvalidFilterPattern("Farspan does not have regular expressions yet.")
            raise InvalidFilterPattern("Invalid filter pattern")
        quoted = found[2]
        term = found[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        {"": needed, "?": optional, "-": unwanted}[found[1]].append(term)
        place = found.end()

    def matches(message: str) -> bool:
        if any(term in message for term in unwanted):
            return False
        if needed or not optional:  # beside other terms those with `?` say nothing (AWS)
            return all(term in message for term in needed)
        return any(term in message for term in optional)

    return matches


def _json_filter(condition: Condition) -> Matches:
    def matches(message: str) -> bool:
        try:
            return condition(_decode(message))
        except (msgspec.DecodeError, RecursionError):
            return False

    return matches


class _Reader:
    """Reads a condition: `||` of `&&` of comparisons or of what stands in parentheses."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        self._next = 0
        place, text = 0, text.rstrip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise InvalidFilterPattern("Invalid filter pattern")
            assert found.lastgroup is not None, "every alternative has a name"
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            place = found.end()

    def whole(self) -> Condition:
        """Return the condition that the whole text is."""
        condition = self._any(0)
        if self._next < len(self._tokens):
            raise InvalidFilterPattern("Invalid filter pattern")
        return condition

    def _any(self, depth: int) -> Condition:
        parts = [self._all(depth)]
        while self._take("op", "||"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else lambda value: any(part(value) for part in parts)

    def _all(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._take("op", "&&"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else lambda value: all(part(value) for part in parts)

    def _one(self, depth: int) -> Condition:
        if depth > DEPTH_MAX:
            raise InvalidFilterPattern("Invalid filter pattern")
        if self._take("op", "("):
            condition = self._any(depth + 1)
            if not self._take("op", ")"):
                raise InvalidFilterPattern("Invalid filter pattern")
            return condition
        find = _path(self._expect("path"))
        kind, text = self._token()
        if kind == "word":
            return self._worded(find, text.upper())
        if kind != "op" or text not in {"=", "!=", *_ORDERED}:
            raise InvalidFilterPattern("Invalid filter pattern")
        return _comparison(find, text, *self._token())

    def _worded(self, find: Condition, word: str) -> Condition:
        given = self._expect("word").upper()
        if (word, given) == ("NOT", "EXISTS"):
            return lambda value: find(value) is _MISSING
        wanted = {"TRUE": True, "FALSE": False, "NULL": None}
        if word != "IS" or given not in wanted:
            raise InvalidFilterPattern("Invalid filter pattern")
        return lambda value: find(value) is wanted[given]

    def _token(self) -> tuple[str, str]:
        if self._next == len(self._tokens):
            raise InvalidFilterPattern("Invalid filter pattern")
        self._next += 1
        return self._tokens[self._next - 1]

    def _expect(self, kind: str) -> str:
        found, text = self._token()
        if found != kind:
            raise InvalidFilterPattern("Invalid filter pattern")
        return text

    def _take(self, kind: str, text: str) -> bool:
        there = self._next < len(self._tokens) and self._tokens[self._next] == (kind, text)
        self._next += there
        return there


def _path(text: str) -> Callable[[Any], Any]:
    """Return what finds a path's value, `_MISSING` where there is none."""
    if "*" in text:
        raise InvalidFilterPattern("Farspan does not have wildcards in paths yet.")
    steps: list[str | int] = []
    place = 1
    while place < len(text):
        found = _STEP.match(text, place)
        if found is None:
            raise InvalidFilterPattern("Invalid filter pattern")
        steps.append(int(found[2]) if found[2] else found[1] or found[3])
        place = found.end()
    if not steps:
        raise InvalidFilterPattern("Invalid filter pattern")

    def find(value: object) -> object:
        for step in steps:
            if isinstance(step, str):
                value = value.get(step, _MISSING) if isinstance(value, dict) else _MISSING
            elif isinstance(value, list) and step < len(value):
                value = value[step]
            else:
                return _MISSING
        return value

    return find


def _comparison(find: Callable[[Any], Any], sign: str, kind: str, text: str) -> Condition:
    if kind not in {"string", "word"}:
        raise InvalidFilterPattern("Invalid filter pattern")
    if text.startswith("%"):
        raise InvalidFilterPattern("Farspan does not have regular expressions yet.")
    number = _number(text) if kind == "word" else None
    if sign in _ORDERED:
        if number is None:
            raise InvalidFilterPattern("Invalid filter pattern")
        compare = _ORDERED[sign]
        return lambda value: _is_number(find(value)) and compare(find(value), number)
    if number is not None:
        is_equal: Condition = lambda found: _is_number(found) and found == number  # noqa: E731
    else:
        given = re.sub(r"\\(.)", r"\1", text[1:-1]) if kind == "string" else text
        glob = re.sub(r"[?\[]", r"[\g<0>]", given)  # `*` alone stands for anything
        is_equal = lambda found: isinstance(found, str) and fnmatchcase(found, glob)  # noqa: E731
    if sign == "=":
        return lambda value: is_equal(find(value))
    return lambda value: find(value) is not _MISSING and not is_equal(find(value))


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _is_number(found: object) -> bool:
    return isinstance(found, int | float) and not isinstance(found, bool)
