"""Requests from a model's own constraints: those that keep all of them, and those that break one.

Reads botocore's shapes, not Farspan's view of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from hypothesis import strategies as st
from in_process import (
    ACCOUNT,
    ARCHIVE_ARN,
    BUS_ARN,
    NAME,
    PATTERN,
    QUEUE_ARN,
    REGION,
    RULE_ARN,
    SOURCE,
    TRUST,
)

WELL_FORMED = (
    NAME,
    "default",
    "a.b",
    ACCOUNT,
    REGION,
    BUS_ARN,
    RULE_ARN,
    ARCHIVE_ARN,
    QUEUE_ARN,
    f"arn:aws:iam::{ACCOUNT}:role/{NAME}",
    f"arn:aws:events:{REGION}:{ACCOUNT}:connection/{NAME}/11111111-1111",
    "arn:aws:iam::aws:policy/AdministratorAccess",
    "arn:aws:route53:::healthcheck/11111111-1111",
    f"http://h/{ACCOUNT}/{NAME}",
    SOURCE,
    PATTERN,
    TRUST,
    "https://example.com/",
    "events:PutEvents",
    "10.0.0.1",
    "$.a",
    "123456",
    "/",
    "{}",
    "1",
    "",
)
"""Texts of which at least one fits nearly every string, and names that are there."""

NO_TEXT_LIMIT, NO_NUMBER_LIMIT = 60, 2**31 - 1
WRONG_CHARACTERS = ("!", "\u00e9", " ", "\n", "\u20ac", "\x7f", "?", "a", "0")
TEXT_SIZE_MAX = 16_384
"""The longest value that is repeated in a message."""

_JAVA = {r"\p{L}": "A-Za-z", r"\p{Z}": " ", r"\p{N}": "0-9", r"\p{ASCII}": r"[\x00-\x7f]"}


@cache
def expression(pattern: str) -> re.Pattern[str]:
    """Return a Java pattern as a Python one; of Unicode's classes it takes the ASCII part."""
    for java, python in _JAVA.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern, re.ASCII)


def constraints(shape: Shape) -> Mapping[str, Any]:
    """Return what the model says of a shape."""
    found: Mapping[str, Any] = shape.metadata
    return found


def size_of(value: Any) -> Any:
    """Return what `min` and `max` bound: a number's value, else a length."""
    return value if isinstance(value, int | float) else len(value)


def broken(shape: Shape, value: Any) -> list[str]:
    """Return AWS's words for the constraints of the shape itself that a value breaks."""
    found, said = [], constraints(shape)
    measure = "value" if isinstance(value, int) else "length"
    if "max" in said and size_of(value) > said["max"]:
        found.append(f"Member must have {measure} less than or equal to {said['max']}")
    if "min" in said and size_of(value) < said["min"]:
        found.append(f"Member must have {measure} greater than or equal to {said['min']}")
    if "pattern" in said and not expression(said["pattern"]).fullmatch(value):
        found.append(f"Member must satisfy regular expression pattern: {said['pattern']}")
    if "enum" in said and value not in said["enum"]:
        found.append(f"Member must satisfy enum value set: [{', '.join(said['enum'])}]")
    return found


# --- requests that keep every constraint ---------------------------------------------------------


@cache
def strings(shape: StringShape) -> st.SearchStrategy[str]:
    """Return strings that the shape takes, those that name something among them."""
    said = constraints(shape)
    if "enum" in said:
        return st.sampled_from(said["enum"])
    known = st.sampled_from([text for text in WELL_FORMED if not broken(shape, text)] or [""])
    low, high = said.get("min", 0), said.get("max", NO_TEXT_LIMIT)
    if "pattern" in said:
        made = st.from_regex(expression(said["pattern"]), fullmatch=True)
        made = made.map(lambda text: text[:high])
    else:
        made = st.text(min_size=low, max_size=min(high, low + NO_TEXT_LIMIT))
        made |= st.just("x" * min(high, 2_000))
    return (known | made).filter(lambda text: not broken(shape, text))


@st.composite
def values(draw: st.DrawFn, shape: Shape) -> Any:
    """Return a value of a shape as it is sent, with all constraints kept."""
    said = constraints(shape)
    match shape:
        case StructureShape():
            optional = [name for name in shape.members if name not in shape.required_members]
            chosen = draw(st.lists(st.sampled_from(optional), max_size=3)) if optional else []
            names = [*shape.required_members, *dict.fromkeys(chosen)]
            return {name: draw(_member_values(shape.members[name])) for name in names}
        case ListShape():
            low = said.get("min", 0)
            high = min(said.get("max", low + 2), low + 2)
            return draw(st.lists(values(shape.member), min_size=low, max_size=high))
        case MapShape():
            low = said.get("min", 0)
            entries = st.dictionaries(
                strings(shape.key), values(shape.value), min_size=low, max_size=max(low, 2)
            )
            return draw(entries)
        case StringShape():
            return draw(strings(shape))
    return draw(scalars(shape))


def _member_values(shape: Shape) -> st.SearchStrategy[Any]:
    """Return a member's values; one that stands in a path cannot be empty."""
    found: st.SearchStrategy[Any] = values(shape)
    return found.filter(bool) if is_in_path(shape) else found


def is_in_path(shape: Shape) -> bool:
    """Tell whether a member stands in the request's path."""
    return shape.serialization.get("location") == "uri"


def scalars(shape: Shape) -> st.SearchStrategy[Any]:
    """Return numbers, booleans, timestamps and blobs as they are sent."""
    said = constraints(shape)
    if shape.type_name == "boolean":
        return st.booleans()
    if shape.type_name == "blob":
        return st.sampled_from(["", "YQ=="])
    if shape.type_name == "timestamp":
        return st.integers(0, 2_000_000_000)
    return st.integers(said.get("min", -NO_NUMBER_LIMIT), said.get("max", NO_NUMBER_LIMIT))


# --- requests that break one ---------------------------------------------------------------------


def least(shape: Shape) -> Any:
    """Return a value that keeps every constraint, and has no more than it must."""
    said = constraints(shape)
    match shape:
        case StructureShape():
            return {name: least(shape.members[name]) for name in shape.required_members}
        case ListShape():
            return [least(shape.member)] * said.get("min", 0)
        case MapShape():
            return {least(shape.key): least(shape.value)} if said.get("min") else {}
        case StringShape():
            return least_text(shape)
    return {"boolean": True, "blob": "YQ==", "timestamp": 1}.get(
        shape.type_name, said.get("min", 1)
    )


@cache
def least_text(shape: StringShape) -> str:
    """Return a string that the shape takes."""
    texts: tuple[str, ...] = (*constraints(shape).get("enum", ()), *WELL_FORMED)
    return next(text for text in texts if not broken(shape, text))


Wrap = Callable[[Any], Any]
"""Puts a value into the least parameters at one place; `...` leaves the place out."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an operation's input: the path as AWS writes it, its shape, and how to fill it.

    What is broken inside a map is told of the map (tests/unit/wire/test_validate.py).
    """

    path: str
    shape: Shape
    fill: Wrap
    required: bool = False
    in_map: bool = False


def places(shape: Shape, path: str = "", fill: Wrap = lambda value: value) -> Iterator[Place]:
    """Return every place in a shape that a value can stand at, outermost first."""
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            inner = _member_fill(shape, name, fill)
            here = f"{path}.{name[:1].lower()}{name[1:]}".lstrip(".")
            yield Place(here, member, inner, required=name in shape.required_members)
            yield from places(member, here, inner)
    elif isinstance(shape, ListShape):
        inner = _item_fill(shape, fill)
        here = f"{path}.1.member"
        yield Place(here, shape.member, inner)
        yield from places(shape.member, here, inner)
    elif isinstance(shape, MapShape):
        inner = _value_fill(shape, fill)
        yield Place(f"{path}.value", shape.value, inner, in_map=True)
        for place in places(shape.value, f"{path}.value", inner):
            yield replace(place, in_map=True)


def _member_fill(shape: StructureShape, name: str, fill: Wrap) -> Wrap:
    def filled(value: Any) -> Any:
        around = {key: entry for key, entry in least(shape).items() if key != name}
        return fill(around if value is ... else {**around, name: value})

    return filled


def _item_fill(shape: ListShape, fill: Wrap) -> Wrap:
    return lambda value: fill([value, *least(shape)[1:]])


def _value_fill(shape: MapShape, fill: Wrap) -> Wrap:
    return lambda value: fill({} if value is ... else {least(shape.key): value})


def breaches(place: Place) -> Iterator[tuple[Any, list[str]]]:
    """Return values for a place that break its constraints, and AWS's words for what is broken."""
    shape, said = place.shape, constraints(place.shape)
    if place.required:
        yield ..., ["Member must not be null"]
    for value in _wrong_values(shape, said):
        found = broken(shape, value)
        if found:
            yield value, found


def _wrong_values(shape: Shape, said: Mapping[str, Any]) -> Iterator[Any]:
    if isinstance(shape, ListShape):
        for size in _sizes_outside(said):
            yield [filler(shape.member)] * size
    elif isinstance(shape, StringShape):
        if "max" in said:
            yield _longer(shape, said["max"] + 1)
        if said.get("min"):
            yield least_text(shape)[: said["min"] - 1]
        if "pattern" in said:
            yield _mismatch(shape)
        if "enum" in said:
            yield "NO_SUCH_VALUE"
    elif shape.type_name in {"integer", "long"}:
        yield from _sizes_outside(said)


def _sizes_outside(said: Mapping[str, Any]) -> list[int]:
    below = [said["min"] - 1] if "min" in said else []
    return below + ([said["max"] + 1] if "max" in said else [])


def filler(shape: Shape) -> Any:
    """Return the least value of a list's item that is not lost in a form: no empty structure."""
    value = least(shape)
    if isinstance(shape, StructureShape) and not value:
        name, member = next(iter(shape.members.items()))
        return {name: least(member)}
    return value


def _longer(shape: StringShape, size: int) -> str:
    """Return a string that is too long, and nothing worse than that where the pattern lets it."""
    text = least_text(shape)
    longer = [text + more * (size - len(text)) for more in ("a", "0", "A", "x/")]
    longer += [text[:-1] + "a" * (size - len(text)) + text[-1:]]
    return min((text[:size] for text in longer), key=lambda text: len(broken(shape, text)))


def _mismatch(shape: StringShape) -> str:
    """Return a string that the pattern refuses, and nothing else where that can be."""
    text = least_text(shape)
    wrong = [text[: max(0, len(text) - 1)] + character for character in WRONG_CHARACTERS]
    refused = [t for t in wrong if not expression(constraints(shape)["pattern"]).fullmatch(t)]
    return min(refused or wrong, key=lambda text: len(broken(shape, text)))


WRONG_KINDS: Mapping[str, tuple[Any, ...]] = {
    "structure": (True, 1, "text", [1]),
    "list": (True, 1, "text", {"k": 1}),
    "map": (True, 1, "text", [1]),
    "string": (True, 1, 1.5, [1], {"k": 1}),
    "boolean": (1, "true", [True], {"k": 1}),
    "integer": (True, "1", 1.5, 2**31, -(2**40), 10**30, [1], {"k": 1}),
    "long": (True, "1", 1.5, 2**63, 10**30, [1], {"k": 1}),
    "double": (True, "1", [1], {"k": 1}),
    "timestamp": (True, "2026-11-23T12:00:00Z", 1e300, -1e300, [1], {"k": 1}),
    "blob": (True, 1, "no base64!", [1], {"k": 1}),
}
"""JSON values that are of another kind than a shape's."""
