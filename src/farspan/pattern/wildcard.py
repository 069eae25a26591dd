"""Wildcard patterns: reading them, matching them, and telling how complex they are.

Matching takes time linear in the value for each literal between two stars and never backtracks:
the leftmost place for each literal is always good enough. No regular expression may be used here.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Ten prefixes at once is event-ruler's example limit; AWS accepts 9 and refuses 11.
COMPLEXITY_MAX: Final = 10


class WildcardFault(ValueError):
    """The wildcard text is not valid; the message is AWS's reason without a place."""


@dataclass(frozen=True, slots=True)
class Glob:
    """The literals between the stars: `a*b` is `("a", "b")`, `*` is `("", "")`, `a` is `("a",)`."""

    literals: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Glob:
        r"""Read wildcard text, in which `\*` and `\\` stand for the characters themselves.

        Raises `WildcardFault`; its positions count UTF-8 bytes and the string's opening quote.
        """
        literals = [""]
        position, star_before = 0, False
        while position < len(text):
            character = text[position]
            if character == "*":
                if star_before:
                    place = _byte_position(text, position - 1)
                    raise WildcardFault(f"Consecutive wildcard characters at pos {place}")
                literals.append("")
            elif character == "\\":
                if text[position + 1 : position + 2] not in {"*", "\\"}:
                    place = _byte_position(text, position)
                    raise WildcardFault(f"Invalid escape character at pos {place}")
                position += 1
                literals[-1] += text[position]
            else:
                literals[-1] += character
            star_before = character == "*"
            position += 1
        return cls(tuple(literals))

    def matches(self, value: str) -> bool:
        """Tell whether the whole of `value` has this form."""
        first, *middle = self.literals
        if not middle:
            return value == first
        last = middle.pop()
        end = len(value) - len(last)
        position = len(first)
        if position > end or not value.startswith(first) or not value.endswith(last):
            return False
        for literal in middle:
            position = value.find(literal, position, end)
            if position < 0:
                return False
            position += len(literal)
        return True


def complexity(globs: Sequence[Glob]) -> int:
    """Return how many prefixes of these patterns one value can match at the same time.

    This is the measure that AWS limits. A value that has passed a pattern's stars stays in all of
    them for ever, so what remains is to find the ending that most literals after a star begin
    with; and only patterns whose heads agree can be met by one value at all.
    """
    starred = [glob for glob in globs if len(glob.literals) > 1]
    heads = {glob.literals[0] for glob in starred}
    return max((_complexity_under(head, starred) for head in heads), default=0)


def _complexity_under(head: str, globs: Iterable[Glob]) -> int:
    together = [glob for glob in globs if head.startswith(glob.literals[0])]
    stars = sum(len(glob.literals) - 1 for glob in together)
    return stars + _most_beginnings([tail for glob in together for tail in glob.literals[1:]])


def _most_beginnings(literals: Iterable[str]) -> int:
    """Return the largest number of beginnings of `literals` that one text can end with.

    The beginnings are the nodes of a trie. One text ends with those on a chain of suffix links, so
    the links are built breadth first, as for Aho-Corasick, and each node adds its link's count.
    """
    children: list[dict[str, int]] = [{}]
    here: Counter[int] = Counter()
    for literal in literals:
        node = 0
        for character in literal:
            if character not in children[node]:
                children[node][character] = len(children)
                children.append({})
            node = children[node][character]
            here[node] += 1
    suffix = [0] * len(children)
    queue = deque([0])
    while queue:
        node = queue.popleft()
        for character, child in children[node].items():
            link = suffix[node]
            while link and character not in children[link]:
                link = suffix[link]
            suffix[child] = children[link].get(character, 0) if node else 0
            here[child] += here[suffix[child]]
            queue.append(child)
    return max(here.values(), default=0)


def _byte_position(text: str, index: int) -> int:
    return len(text[:index].encode("utf-8", "replace")) + 1
