"""Comparison that ignores case, one pattern character at a time.

Each character of the pattern stands for itself, its upper and its lower form, whatever their
length; the value is not folded. So sharp s in a pattern meets `SS`, and `k` does not meet the
Kelvin sign, although the Kelvin sign in a pattern meets `k`. Neither `str.lower` nor
`str.casefold` of both sides gives these answers beyond ASCII.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FoldedText:
    """Text of a pattern, ready to be compared; `reverse` compares from the end."""

    lower: str | None  # for ASCII text only: then lower-casing an ASCII value decides
    forms: tuple[tuple[str, ...], ...]
    reverse: bool

    @classmethod
    def of(cls, text: str, *, reverse: bool = False) -> FoldedText:
        """Prepare `text`; with `reverse`, `begins` looks at the end of a value."""
        forms = tuple(_forms(character, reverse=reverse) for character in text)
        lower = text.lower() if text.isascii() else None
        return cls(lower, forms[::-1] if reverse else forms, reverse)

    def equals(self, value: str) -> bool:
        """Tell whether the whole of `value` is this text."""
        if self.lower is not None and value.isascii():
            return value.lower() == self.lower
        return len(value) in self._ends(value)

    def begins(self, value: str) -> bool:
        """Tell whether `value` begins (or, in reverse, ends) with this text."""
        return bool(self._ends(value))

    def _ends(self, value: str) -> set[int]:
        """Return how much of `value` the text may cover: forms differ in length."""
        if self.reverse:
            value = value[::-1]
        ends = {0}
        for forms in self.forms:
            ends = {
                end + len(form) for end in ends for form in forms if value.startswith(form, end)
            }
            if not ends:
                break
        return ends


def _forms(character: str, *, reverse: bool) -> tuple[str, ...]:
    forms = {character, character.upper(), character.lower()}
    return tuple(sorted(form[::-1] if reverse else form for form in forms))
