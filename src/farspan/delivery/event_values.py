"""Values inside an event, found by path and read as the bytes that stand there.

An event is read one level at a time and only where somebody looks, and what was read is kept for
the other targets of the event. Numbers are never decoded, so `1.0` and long integers stay as they
were sent. It must never raise for any bytes: what cannot be read holds nothing.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

Path = tuple[str | int, ...]
"""The steps from the event to a value: a member's name, an element's index, or `EVERY`."""

EVERY: Final = -1
"""The step to all elements of an array."""

_PATH: Final = re.compile(r"\$(?:\.[A-Za-z0-9_/-]+|\[(?:[0-9]{1,9}|\*)\])*")
_STEP: Final = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]|\[\*\]")
_LOOSE: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[ \t\r\n]+', re.DOTALL)
_LOOSE_UNESCAPED: Final = re.compile(rb'("[^"]*")|[ \t\r\n]+')

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode

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

    __slots__ = ("_elements", "_members", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._members: dict[str, Value] | None = None
        self._elements: list[Value] | None = None

    def step(self, step: str | int) -> Value | None:
        """Return the member of this name or the element at this index, where there is one."""
        if isinstance(step, str):
            return self.members().get(step)
        elements = self.elements() or []
        return elements[step] if step < len(elements) else None

    def members(self) -> dict[str, Value]:
        """Return an object's members, of a name that comes twice the last; else nothing."""
        if self._members is None:
            try:
                found = _decode_members(self.raw) if self.raw[:1] == b"{" else {}
            except UNREADABLE:
                found = {}
            self._members = {name: Value(bytes(raw)) for name, raw in found.items()}
        return self._members

    def elements(self) -> list[Value] | None:
        """Return an array's elements; None where this is no array."""
        if self._elements is None and self.raw[:1] == b"[":
            try:
                self._elements = [Value(bytes(raw)) for raw in _decode_elements(self.raw)]
            except UNREADABLE:
                self._elements = []
        return self._elements


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
    if any(blank in raw for blank in (b" ", b"\n", b"\t", b"\r")):
        return _LOOSE_UNESCAPED.sub(rb"\1", raw)
    return raw


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
