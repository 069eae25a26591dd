"""Why a field is missing: spelled otherwise, under another parent, or no scalar at all.

Reasons are tried from the most specific to the least; the first that applies is the hint. Nothing
here may change a verdict: a hint is about a field that has failed already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from farspan.pattern.conditions import NoneOf, Present
from farspan.pattern.hints import LIKENESS_MIN, Hint, alike
from farspan.pattern.written import shown_scalar, shown_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from farspan.pattern.outline import Outline
    from farspan.pattern.written import Alternative

#: Paths of an event that are looked at for one missing field.
PATHS_MAX: Final = 2_000
_NAMES_SHOWN_MAX: Final = 8
_NAME_CHARACTERS_MAX: Final = 64
#: On every event, so that finding one of these elsewhere says little.
_ENVELOPE: Final = frozenset(
    {"version", "id", "detail-type", "source", "account", "time", "region", "resources"}
)
_OF_AN_EVENT: Final = _ENVELOPE | {"detail"}
_OF_AN_ENTRY: Final = frozenset({"Source", "DetailType", "Detail", "Resources", "Time"})
_SEPARATORS: Final = str.maketrans("", "", "-_ ")
_DETAIL: Final = "detail."


@dataclass(frozen=True, slots=True)
class _Missing:
    """A path without a scalar: how far the event follows it, and what the pattern asks of it."""

    path: str
    parent: str  # the longest beginning at which the event has an object, "" for the event itself
    name: str  # the step that is not in it
    rest: str  # what would come below, with its dot
    alternatives: Sequence[Alternative]
    outline: Outline

    def admits(self, path: str) -> bool:
        """Tell whether the event has at `path` what the pattern asks."""
        values = self.outline.scalars.get(path, ())
        return any(a.condition.admits(value) for a in self.alternatives for value in values)


def missing_hint(path: str, alternatives: Sequence[Alternative], outline: Outline) -> Hint:
    """Return why the event has no scalar at `path`."""
    shape = _shape_hint(path, alternatives, outline)
    if shape is not None:
        return shape
    steps = path.split(".")
    depth = max(n for n in range(len(steps)) if ".".join(steps[:n]) in outline.names)
    rest = "".join(f".{step}" for step in steps[depth + 1 :])
    parent = ".".join(steps[:depth])
    missing = _Missing(path, parent, steps[depth], rest, alternatives, outline)
    for reason in _REASONS:
        hint = reason(missing)
        if hint is not None:
            return hint
    return _absent(missing)


def _shape_hint(path: str, alternatives: Sequence[Alternative], outline: Outline) -> Hint | None:
    """Return a hint where the event has something at the path or above it that is in the way."""
    if path in outline.names:
        names = _listed(outline.names[path])
        if any(isinstance(t, Present) for a in alternatives for t in a.condition.tests):
            text = f"`{path}` is an object, and exists looks at values only: name a field in it"
        else:
            text = f"`{path}` is an object, the pattern expects a value: name a field in it"
        first = next(iter(outline.names[path]), None)
        suggestion = None if first is None else f"{path}.{first}"
        return Hint("object-instead-of-value", f"{text} ({names})", suggestion)
    for above in _beginnings(path):
        if above in outline.empty_arrays and above not in outline.names:
            text = f"`{above}` is an empty array: nothing is in it to match, not even null"
            return Hint("empty-array", text)
        if above == path or above not in outline.scalars or above in outline.names:
            continue
        value = outline.scalars[above][0]
        if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
            text = f"`{above}` is a string that holds JSON: send it as an object, not as text"
            return Hint("json-in-a-string", text)
        text = f"`{above}` is {shown_scalar(value)}, the pattern expects an object there"
        return Hint("value-instead-of-object", text)
    return None


def _beginnings(path: str) -> Iterator[str]:
    """Yield `path` and the paths above it, the longest first."""
    while path:
        yield path
        path = path.rpartition(".")[0]


# --- another name ----------------------------------------------------------------------------


def _bare(name: str) -> str:
    return name.translate(_SEPARATORS).lower()


def _joined(parent: str, name: str) -> str:
    return f"{parent}.{name}" if parent else name


def _respelled(missing: _Missing) -> Hint | None:
    for name in missing.outline.names[missing.parent]:
        if _bare(name) == _bare(missing.name):
            if not missing.parent and missing.name in _OF_AN_EVENT:
                text = f"an event has `{missing.name}`, this one `{name}`"
                if name in _OF_AN_ENTRY:
                    text += ": it is an entry of PutEvents, not yet an event"
                return Hint("no-event", text)
            suggestion = _joined(missing.parent, name) + missing.rest
            text = f"the event spells it `{name}`, the pattern `{missing.name}`"
            return Hint("spelled-differently", f"{text}; write `{suggestion}`", suggestion)
    return None


def _similar(missing: _Missing) -> Hint | None:
    if len(missing.name) > _NAME_CHARACTERS_MAX:
        return None
    names = [n for n in missing.outline.names[missing.parent] if len(n) <= _NAME_CHARACTERS_MAX]
    best = max(names, key=lambda name: alike(_bare(name), _bare(missing.name)), default=None)
    if best is None or alike(_bare(best), _bare(missing.name)) < LIKENESS_MIN:
        return None
    suggestion = _joined(missing.parent, best) + missing.rest
    return Hint("did-you-mean", f"did you mean `{suggestion}`?", suggestion)


# --- another place ---------------------------------------------------------------------------


def _under_detail(missing: _Missing) -> Hint | None:
    there = _DETAIL + missing.path
    if there not in missing.outline.scalars:
        return None
    text = f"the event has it under detail: write it inside `detail`, as `{there}`"
    return Hint("under-detail", text, there)


def _not_under_detail(missing: _Missing) -> Hint | None:
    there = missing.path.removeprefix(_DETAIL)
    if there == missing.path or there not in missing.outline.scalars:
        return None
    if there in _ENVELOPE and not missing.admits(there):
        return None
    text = f"the event has it at the top, not under detail: write it outside, as `{there}`"
    return Hint("not-under-detail", text, there)


def _elsewhere(missing: _Missing) -> Hint | None:
    ending = missing.path.rpartition(".")[2]
    found = [
        path
        for path in list(missing.outline.scalars)[:PATHS_MAX]
        if path not in _ENVELOPE and (path == ending or path.endswith(f".{ending}"))
    ]
    if not found:
        return None
    there = max(found, key=lambda path: (missing.admits(path), _shared_end(path, missing.path)))
    return Hint("found-elsewhere", f"the event has it elsewhere, as `{there}`", there)


def _shared_end(one: str, other: str) -> int:
    """Return how many last steps two paths share."""
    shared = 0
    for step, counterpart in zip(
        reversed(one.split(".")), reversed(other.split(".")), strict=False
    ):
        if step != counterpart:
            break
        shared += 1
    return shared


# --- nothing like it -------------------------------------------------------------------------


def _excluding(missing: _Missing) -> Hint | None:
    for alternative in missing.alternatives:
        if any(isinstance(test, NoneOf) for test in alternative.condition.tests):
            suggestion = '{"exists": false}'
            text = "anything-but needs the field to be there: to allow events without it, add"
            return Hint("anything-but-needs-field", f"{text} {suggestion}", suggestion)
    return None


def _absent(missing: _Missing) -> Hint:
    names = missing.outline.names[missing.parent]
    where = f"`{missing.parent}`" if missing.parent else "the event"
    text = f"{where} has no `{missing.name}`, only {_listed(names)}"
    return Hint("missing", text if names else f"{where} is empty")


def _listed(names: dict[str, None]) -> str:
    shown = [shown_text(name) for name in list(names)[:_NAMES_SHOWN_MAX]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


_REASONS: Final[tuple[Callable[[_Missing], Hint | None], ...]] = (
    _respelled,
    _under_detail,
    _not_under_detail,
    _excluding,
    _elsewhere,
    _similar,
)
