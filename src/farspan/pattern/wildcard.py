"""Wildcard patterns: reading them, matching them, and telling how complex they are.

Matching takes time linear in the value for each literal between two stars and never backtracks:
the leftmost place for each literal is always good enough. No regular expression may be used here.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Ten prefixes at once is event-ruler's example limit; AWS accepts 9 and refuses 11.
COMPLEXITY_MAX: Final = 10
#: Trie nodes that measuring complexity may take: twice the text of the longest pattern. Only
#: patterns made for it, with a long literal that is met by many heads, need more.
NODES_MAX: Final = 2 * 4096


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


def complexity(globs: Iterable[Glob]) -> int:
    """Return how many prefixes of these patterns one value can match at the same time.

    This is the measure that AWS limits. A value that has passed a pattern's stars stays in all of
    them for ever, so what remains is to find the ending that most literals after a star begin
    with; and only patterns whose heads agree can be met by one value at all.

    The answer is exact up to `COMPLEXITY_MAX`. Beyond it, it is only certain to be larger; and so
    it is for patterns made to be compared in ever new company, which `NODES_MAX` ends.
    """
    worst, nodes = 0, 0
    beginnings: dict[tuple[str, ...], int] = {}
    for company in _companies(globs):
        stars = sum(len(glob.literals) - 1 for glob in company)
        tails = tuple(sorted(tail for glob in company for tail in glob.literals[1:] if tail))
        if tails not in beginnings and stars <= COMPLEXITY_MAX:
            nodes += sum(map(len, tails))
            if nodes > NODES_MAX:
                return COMPLEXITY_MAX + 1
            beginnings[tails] = _most_beginnings(tails)
        worst = max(worst, stars + beginnings.get(tails, 0))
        if worst > COMPLEXITY_MAX:
            break
    return worst


def _companies(globs: Iterable[Glob]) -> Iterator[list[Glob]]:
    """Yield the largest sets of starred patterns whose heads begin one another.

    In alphabetical order a head comes right before what it begins, so a stack holds each set.
    """
    starred = sorted(
        (glob for glob in globs if len(glob.literals) > 1), key=lambda glob: glob.literals
    )
    company: list[Glob] = []
    for glob in starred:
        if company and not glob.literals[0].startswith(company[-1].literals[0]):
            yield company
            while company and not glob.literals[0].startswith(company[-1].literals[0]):
                company.pop()
        company.append(glob)
    if company:
        yield company


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
