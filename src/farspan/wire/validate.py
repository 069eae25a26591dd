"""The model's constraints, and AWS's words for what breaks them.

AWS answers with one ValidationException that lists every violation:
`2 validation errors detected: Value '…' at 'targets.1.member.id' failed to satisfy constraint:
Member must have length greater than or equal to 1; …`. Rules that the model does not state belong
to the services, not here. Values of sensitive members must never be echoed.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache, lru_cache
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from farspan.errors import ValidationException
from farspan.wire.json_codec import NAME_CHARACTERS_MAX, lower_first

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from farspan.wire.spec import Member, Operation, Shape

# A pattern is not tried on more, unless the model itself allows more: beyond this a value counts as
# not matching. IAM's policies may have 131,072 characters, and their pattern is one class.
PATTERN_CHARACTERS_MAX: Final = 10_000
# AWS echoes whole values; eleven entries of a megabyte need not come back.
ECHO_CHARACTERS_MAX: Final = 16_384
ECHO_ITEMS_MAX: Final = 100  # of a list or map
VIOLATIONS_MAX: Final = 100  # a message of more is of no use to anyone

# Patterns of the models in which two repeated parts can take the same blank, so that a backtracking
# matcher needs exponential time; and patterns that take the same strings in linear time.
EQUIVALENT_PATTERNS: Final[Mapping[str, str]] = MappingProxyType(
    {
        r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$": (
            r"\t*[^\x00-\x1F:\x7F][^\x00-\x08\x0A-\x1F:\x7F]*"
        ),
        r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$": r"\t*[\x20-\x7E][\t\x20-\x7E]*",
    }
)

# Java's classes inside brackets, as Python writes them. In `[\p{L}\p{Z}\p{N}_…]`, which is how the
# models use them, letters, digits and the underscore together are Python's Unicode `\w`.
# A hyphen after a class is itself in Java, and no range.
_JAVA_CLASSES: Final = (
    # Letters, marks, numbers, punctuation, symbols and blanks: all but control characters.
    (r"[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]", r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]"),
    (r"\w-_", r"\w_-"),
    (r"\p{L}", r"\w"),
    (r"\p{N}", r"\w"),
    (r"\p{Z}", "\x20\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"),
)

# Enums of SQS's model whose lists the service does not hold callers to: it takes a message's
# attributes under `AttributeNames`, which the model types as a queue's, and has its own error for
# a name that it does not know, InvalidAttributeName (SQS API reference, ReceiveMessage).
_OPEN_ENUMS: Final = frozenset({"QueueAttributeName", "MessageSystemAttributeName"})

# The service's own entry has members that its public model lacks, and its error texts show them
# (recorded from AWS, January 2025).
_UNMODELLED_MEMBERS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"PutEventsRequestEntry": ("kmsKeyIdentifier", "internalMetadata")}
)
_REDACTED: Final = "*** Sensitive Data Redacted ***"  # the words of the AWS SDK for Java

_NUMBERS: Final = frozenset({"integer", "long", "float", "double"})
_NOT_NULL: Final = "Member must not be null"


def check(operation: Operation, params: Mapping[str, Any]) -> None:
    """Return if `params`, as decoded, keep every constraint of the operation's model.

    Raises ValidationException with all violations, in the model's order.
    """
    if operation.input_shape is None:
        return
    found = violations(operation.input_shape, params)
    if found:
        plural = "" if len(found) == 1 else "s"
        listed = "; ".join(found)
        raise ValidationException(f"{len(found)} validation error{plural} detected: {listed}")


def violations(shape: Shape, value: Any, path: str = "") -> list[str]:  # noqa: ANN401
    """Return a sentence for each constraint that `value` breaks; `path` is where it stands.

    `value` is as decoded: of the model's types, nulls left out except inside lists and maps.
    """
    found: list[str] = []
    if _constrained(shape):
        _collect(shape, value, path, found)
    return found[:VIOLATIONS_MAX]


@cache
def _constrained(shape: Shape) -> bool:
    """Tell whether anything in the shape can be violated; the rest need not be walked."""
    return (
        shape.type in {"list", "map"}  # a null may stand in either
        or shape.pattern is not None
        or shape.minimum is not None
        or shape.maximum is not None
        or bool(shape.enum)
        or any(member.required or _constrained(member.shape) for member in shape.members.values())
    )


def _collect(shape: Shape, value: Any, path: str, found: list[str]) -> None:  # noqa: ANN401
    broken = _broken(shape, value) if shape.name not in _OPEN_ENUMS else ()
    if broken:
        found.extend([_sentence(shape, value, path, constraint) for constraint in broken])
    if shape.members:
        _collect_inside(shape, value, path, found)


def _collect_inside(
    shape: Shape,
    value: Any,  # noqa: ANN401
    path: str,
    found: list[str],
) -> None:
    if shape.type == "structure":
        _collect_structure(shape, value, f"{path}." if path else "", found)
    elif shape.type == "list":
        _collect_list(shape, value, path, found)
    elif shape.type == "map":
        _collect_map(shape, value, path, found)


def _collect_structure(
    shape: Shape, value: Mapping[str, Any], prefix: str, found: list[str]
) -> None:
    for member, name in _checked_members(shape):
        entry = value.get(member.name)
        if entry is not None:
            _collect(member.shape, entry, prefix + name, found)
        elif member.required:
            found.append(_sentence(member.shape, None, prefix + name, _NOT_NULL))


@cache
def _checked_members(shape: Shape) -> tuple[tuple[Member, str], ...]:
    return tuple(
        (member, lower_first(member.name))
        for member in shape.members.values()
        if member.required or _constrained(member.shape)
    )


def _collect_list(shape: Shape, value: Sequence[Any], path: str, found: list[str]) -> None:
    item = shape.item.shape
    constrained = _constrained(item)
    if not constrained and None not in value:
        return
    for index, entry in enumerate(value, 1):
        if entry is None:
            found.append(_sentence(item, None, f"{path}.{index}.member", _NOT_NULL))
        elif constrained:
            _collect(item, entry, f"{path}.{index}.member", found)
        if len(found) >= VIOLATIONS_MAX:
            return


def _collect_map(shape: Shape, value: Mapping[str, Any], path: str, found: list[str]) -> None:
    """Report each kind of violation once for the whole map, as AWS does, then look deeper."""
    key, item = shape.key.shape, shape.value.shape
    if any(_broken(key, entry) for entry in value):
        constraint = f"Map keys must satisfy constraint: {_all(key)}"
        found.append(_sentence(shape, value, path, constraint))
    if any(entry is None or _broken(item, entry) for entry in value.values()):
        constraint = f"Map value must satisfy constraint: {_all(item)}"
        found.append(_sentence(shape, value, path, constraint))
    for name, entry in value.items():
        if len(found) >= VIOLATIONS_MAX:
            return
        if entry is not None:
            _collect_inside(item, entry, f"{path}.{name[:NAME_CHARACTERS_MAX]}.member", found)


# --- constraints -----------------------------------------------------------------------------


def _broken(shape: Shape, value: Any) -> list[str]:  # noqa: ANN401
    """Return the constraints of this shape itself that `value` breaks: length, pattern, enum."""
    broken = []
    if shape.minimum is not None or shape.maximum is not None:
        size = _size(shape, value)
        if shape.maximum is not None and size > shape.maximum:
            broken.append(_at_most(shape))
        elif shape.minimum is not None and size < shape.minimum:
            broken.append(_at_least(shape))
    if shape.pattern is not None and not _matches(shape.pattern, value, shape.maximum):
        broken.append(_pattern(shape))
    if shape.enum and value not in shape.enum:
        broken.append(_enum(shape))
    return broken


def _size(shape: Shape, value: Any) -> float:  # noqa: ANN401
    return value if shape.type in _NUMBERS else len(value)


def _at_most(shape: Shape) -> str:
    measure = "value" if shape.type in _NUMBERS else "length"
    return f"Member must have {measure} less than or equal to {shape.maximum}"


def _at_least(shape: Shape) -> str:
    measure = "value" if shape.type in _NUMBERS else "length"
    return f"Member must have {measure} greater than or equal to {shape.minimum}"


def _pattern(shape: Shape) -> str:
    return f"Member must satisfy regular expression pattern: {shape.pattern}"


def _enum(shape: Shape) -> str:
    return f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"


def _all(shape: Shape) -> str:
    """List every constraint of a map's key or value, which AWS names together."""
    wordings: tuple[tuple[object, Callable[[Shape], str]], ...] = (
        (shape.maximum, _at_most),
        (shape.minimum, _at_least),
        (shape.pattern, _pattern),
        (shape.enum or None, _enum),
    )
    listed = [wording(shape) for constraint, wording in wordings if constraint is not None]
    return f"[{', '.join(listed or [_NOT_NULL])}]"


def _matches(pattern: str, text: str, maximum: int | None) -> bool:
    """Match the whole text, as Java's `matches` does."""
    if len(text) > max(PATTERN_CHARACTERS_MAX, maximum or 0):
        return False
    return compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=256)  # the four models have 56
def compiled(pattern: str) -> re.Pattern[str]:
    r"""Return the model's pattern, a Java one, as a Python one.

    Java's `\d`, `\w` and `\s` are ASCII; `\p{…}` classes become what they stand for.
    """
    python = EQUIVALENT_PATTERNS.get(pattern, pattern)
    flags = re.NOFLAG if r"\p{L}" in python else re.ASCII
    python = python.replace(r"\p{ASCII}", r"[\x00-\x7f]")
    for java_class, members in _JAVA_CLASSES:
        python = python.replace(java_class, members)
    return re.compile(python, flags)


# --- wording ---------------------------------------------------------------------------------


def _sentence(shape: Shape, value: Any, path: str, constraint: str) -> str:  # noqa: ANN401
    if value is None:
        shown = "Value null"
    elif shape.sensitive:
        shown = "Value"
    else:
        shown = f"Value '{_capped(render(shape, value))}'"
    return f"{shown} at '{path}' failed to satisfy constraint: {constraint}"


def _capped(text: str) -> str:
    return text if len(text) <= ECHO_CHARACTERS_MAX else text[:ECHO_CHARACTERS_MAX] + "…"


def render(shape: Shape, value: Any) -> str:  # noqa: ANN401
    """Write a value as Java's toString does, which is how AWS echoes it.

    `PutEventsRequestEntry(time=null, source=a.b, …)`, `[a, b]`, `{k=v}`, `true`. Sensitive
    members are redacted.
    """
    if value is None:
        return "null"
    if shape.sensitive:
        return _REDACTED
    return _RENDERERS.get(shape.type, _render_plainly)(shape, value)


def _render_list(shape: Shape, value: Any) -> str:  # noqa: ANN401
    shown = [render(shape.item.shape, entry) for entry in value[:ECHO_ITEMS_MAX]]
    return f"[{', '.join(shown + ['…'] * (len(value) > ECHO_ITEMS_MAX))}]"


def _render_map(shape: Shape, value: Any) -> str:  # noqa: ANN401
    shown = [
        f"{key}={render(shape.value.shape, entry)}"
        for key, entry in islice(value.items(), ECHO_ITEMS_MAX)
    ]
    return f"{{{', '.join(shown + ['…'] * (len(value) > ECHO_ITEMS_MAX))}}}"


def _render_boolean(_shape: Shape, value: Any) -> str:  # noqa: ANN401
    return "true" if value else "false"


def _render_timestamp(_shape: Shape, value: Any) -> str:  # noqa: ANN401
    # java.util.Date's toString
    return datetime.fromtimestamp(value, UTC).strftime("%a %b %d %H:%M:%S UTC %Y")


def _render_blob(_shape: Shape, value: Any) -> str:  # noqa: ANN401
    return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"


def _render_plainly(_shape: Shape, value: Any) -> str:  # noqa: ANN401
    return str(value)


def _render_structure(shape: Shape, value: Mapping[str, Any]) -> str:
    shown = [
        f"{lower_first(name)}={render(member.shape, value.get(name))}"
        for name, member in shape.members.items()
    ]
    shown += [f"{name}=null" for name in _UNMODELLED_MEMBERS.get(shape.name, ())]
    return f"{shape.name}({', '.join(shown)})"


_RENDERERS: Final[Mapping[str, Callable[[Shape, Any], str]]] = MappingProxyType(
    {
        "structure": _render_structure,
        "list": _render_list,
        "map": _render_map,
        "boolean": _render_boolean,
        "timestamp": _render_timestamp,
        "blob": _render_blob,
    }
)
