"""Match texts against `*` and `?` in one pass.

All places that a pattern could have reached are the bits of one number, and one character of the
value moves them all together. So the time is linear in the value whatever the pattern; nothing is
tried twice, and no regular expression is used.

    pattern  a*b      tests     a    b        the star is a loop on the place it stands at
                      places  0    1    2     place 1 stays reached however much is read
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Wild(Enum):
    """The two wildcards of the policy language."""

    ONE = "?"  # exactly one character
    MANY = "*"  # any number of characters, none included


Token = str | Wild


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled pattern: a literal head, then tests of one character each, some after a star."""

    head: str
    moves: Mapping[str, int]
    any_move: int
    loops: int
    end: int

    @classmethod
    def of(cls, tokens: Iterable[Token]) -> Glob:
        """Compile literal texts and wildcards."""
        head = ""
        moves: dict[str, int] = {}
        any_move = loops = 0
        end = 1
        for token in tokens:
            if token is Wild.MANY:
                loops |= end
            elif token is Wild.ONE:
                any_move |= end
                end <<= 1
            elif end == 1 and not loops:
                head += token
            else:
                for character in token:
                    moves[character] = moves.get(character, 0) | end
                    end <<= 1
        return cls(
            head, {key: bits | any_move for key, bits in moves.items()}, any_move, loops, end
        )

    def matches(self, value: str) -> bool:
        """Tell whether the whole of `value` has this form."""
        if not value.startswith(self.head):
            return False
        if self.end == 1:
            return bool(self.loops) or len(value) == len(self.head)
        places = 1
        moves, any_move, loops = self.moves, self.any_move, self.loops
        for character in value[len(self.head) :]:
            places = ((places & moves.get(character, any_move)) << 1) | (places & loops)
            if not places:
                return False
        return bool(places & self.end)
