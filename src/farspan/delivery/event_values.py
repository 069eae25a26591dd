"""Values inside an event, found by path and read as the bytes that stand there.

An event is read one level at a time and only where somebody looks, and what was read is kept for
the other targets of the event. Numbers are never decoded, so `1.0` and long integers stay as they
were sent. It must never raise for any bytes: what cannot be read holds nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

Path = tuple[str | int, ...]
"""The steps from the event to a value: a member's name, an element's index, or `EVERY`."""

EVERY: Final = -1
"""The step to all elements of an array."""

_PATH: Final = re.compile(r"\$(?:\.[A-Za-z0-9_/-]+|\[(?:[0-9]{1,9}|\*)\])*")
_STEP: Final = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]|\[\*\]")
_LOOSE: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[ \t\r\n]+', re.DOTALL)
_BLANKS: Final = b" \t\r\n"

_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

_Held = dict[str, msgspec.Raw] | list[msgspec.Raw]
_DECODE_BY_FIRST_BYTE: Final[dict[bytes, Callable[[bytes], _Held]]] = {
    b"{": msgspec.json.Decoder(dict[str, msgspec.Raw]).decode,
    b"[": msgspec.json.Decoder(list[msgspec.Raw]).decode,
}

UNREADABLE: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What reading bytes may raise where they are no JSON, or nest deeper than Python goes."""


def parse_path(text: str) -> Path | None:
    """Return a path's steps, or None for what EventBridge does not have as a path.

    It has dots, names of letters, digits, `_`, `-` and `/`, indexes and `[*]`: no quotes, no
    slices, no filters (AWS: supported JSON path syntax; refusals as recorded).
    """
    if not _PATH.fullmatch(text):
        return None
    steps: list[str | int] = []
    for step in _STEP.finditer(text):
        name, index = step.groups()
        steps.append(name if name is not None else int(index) if index is not None else EVERY)
    return tuple(steps)


class Value:
    """A JSON value, as its bytes. What it holds is read when it is asked for, once."""

    __slots__ = ("_found", "_held", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._held: _Held | None = None
        self._found: dict[str | int, Value | None] = {}

    def step(self, step: str | int) -> Value | None:
        """Return the member of this name or the element at this index, where there is one.

        Of two members of a name it is the last.
        """
        if step not in self._found:
            raw = self._raw_at(step)
            self._found[step] = None if raw is None else Value(bytes(raw))
        return self._found[step]

    def _raw_at(self, step: str | int) -> msgspec.Raw | None:
        held = self._read()
        if isinstance(step, str):
            return held.get(step) if isinstance(held, dict) else None
        return held[step] if isinstance(held, list) and step < len(held) else None

    def elements(self) -> list[Value] | None:
        """Return an array's elements; None where this is no array."""
        held = self._read()
        if not isinstance(held, list):
            return None
        return [value for index in range(len(held)) if (value := self.step(index)) is not None]

    def _read(self) -> _Held:
        """Return what this holds; of a scalar, and of what is no JSON, no members."""
        if self._held is None:
            decode = _DECODE_BY_FIRST_BYTE.get(self.raw[:1])
            try:
                self._held = {} if decode is None else decode(self.raw)
            except UNREADABLE:
                self._held = {}
        return self._held


def find(value: Value, path: Path) -> bytes | None:
    """Return what stands at a path as compact JSON, or None where nothing stands there.

    A path with `[*]` gives an array of what its rest finds in the elements, and those of several
    `[*]` in one array; None where the first `[*]` meets no array.
    """
    for place, step in enumerate(path):
        if step == EVERY:
            elements = value.elements()
            return None if elements is None else _find_in_each(elements, path[place + 1 :])
        inner = value.step(step)
        if inner is None:
            return None
        value = inner
    return compact(value.raw)


def _find_in_each(values: list[Value], path: Path) -> bytes:
    for step in path:
        if step == EVERY:
            values = [inner for value in values for inner in value.elements() or ()]
        else:
            values = [inner for value in values if (inner := value.step(step)) is not None]
    return b"[%b]" % b",".join(compact(value.raw) for value in values)


def compact(raw: bytes) -> bytes:
    """Return JSON without blanks between its tokens and with no needless escape in its strings."""
    if b"\\" in raw:
        return _LOOSE.sub(_tighten, raw)
    if raw[:1] not in _DECODE_BY_FIRST_BYTE:
        return raw
    # Without escapes every quote begins or ends a string: what stands outside is every other part.
    parts = raw.split(b'"')
    parts[::2] = b'"'.join(parts[::2]).translate(None, _BLANKS).split(b'"')
    return b'"'.join(parts)


def _tighten(token: re.Match[bytes]) -> bytes:
    word = token[0]
    if word[:1] != b'"':
        return b""
    if b"\\" not in word:
        return word
    text = text_of(word)
    return word if text is None else _encode(text)


def text_of(raw: bytes) -> str | None:
    """Return what a JSON string spells; None for every other value."""
    if raw[:1] != b'"':
        return None
    try:
        return _decode_text(raw)
    except UNREADABLE:
        return None
