"""What a pattern asks of one field: a set of values, some tests, and whether absence will do.

A condition is an OR. The exact values are apart from the tests, because an index can look them up.
Tests see one scalar and answer at once; nothing here may know where in an event a scalar was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from farspan.pattern.addresses import Address, Block, parse_address
from farspan.pattern.folding import FoldedText
from farspan.pattern.scalars import Scalar
from farspan.pattern.wildcard import Glob


class Test:
    """A question about one scalar. A class, not a protocol, so that compiled calls are direct."""

    __slots__ = ()

    def holds(self, value: Scalar) -> bool:
        """Tell whether `value` passes. Total: any scalar gets an answer."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Condition:
    """The alternatives that a pattern lists for one field; any one of them is enough."""

    values: frozenset[Scalar] = frozenset()
    tests: tuple[Test, ...] = ()
    absent: bool = False  # the pattern lists {"exists": false}

    def admits(self, value: Scalar) -> bool:
        """Tell whether a field that holds `value` meets the condition."""
        if self.values and value in self.values:
            return True
        for test in self.tests:  # noqa: SIM110 - compiled, a loop is several times faster than any()
            if test.holds(value):
                return True
        return False

    @classmethod
    def any_of(cls, conditions: Sequence[Condition]) -> Condition:
        """Return the condition that is met where any of these is."""
        return cls(
            frozenset().union(*(condition.values for condition in conditions)),
            tuple(test for condition in conditions for test in condition.tests),
            any(condition.absent for condition in conditions),
        )

    @property
    def exact(self) -> bool:
        """Whether the listed values are all there is, so that looking them up decides."""
        return bool(self.values) and not self.tests and not self.absent


@dataclass(frozen=True, slots=True)
class Present(Test):
    """`{"exists": true}`: any scalar, null and the empty string included."""

    def holds(self, value: Scalar) -> bool:  # noqa: ARG002 - the question ignores its subject
        """Any value at all will do: objects and empty arrays never become one."""
        return True


@dataclass(frozen=True, slots=True)
class SameAddress(Test):
    """A plain string that spells an IP address meets every spelling of that address."""

    address: Address

    def holds(self, value: Scalar) -> bool:
        """Tell whether `value` spells the address."""
        return isinstance(value, str) and parse_address(value) == self.address


@dataclass(frozen=True, slots=True)
class Prefix(Test):
    """`prefix`. AWS compares strings with their quotes, so `abc"` is the whole of "abc"."""

    text: str

    def holds(self, value: Scalar) -> bool:
        """Tell whether `value` is a string that begins with the text."""
        if not isinstance(value, str):
            return False
        return value.startswith(self.text) or (self.text.endswith('"') and value == self.text[:-1])


@dataclass(frozen=True, slots=True)
class Suffix(Test):
    """`suffix`, with the quirk of `Prefix`."""

    text: str

    def holds(self, value: Scalar) -> bool:
        """Tell whether `value` is a string that ends with the text."""
        if not isinstance(value, str):
            return False
        return value.endswith(self.text) or (self.text.startswith('"') and value == self.text[1:])


@dataclass(frozen=True, slots=True)
class FoldedEqual(Test):
    """`equals-ignore-case`."""

    text: FoldedText

    def holds(self, value: Scalar) -> bool:
        """Tell whether `value` is the text, whatever the case."""
        return isinstance(value, str) and self.text.equals(value)


@dataclass(frozen=True, slots=True)
class FoldedEdge(Test):
    """`prefix` or `suffix` with `equals-ignore-case`; the text knows which end it compares."""

    text: FoldedText

    def holds(self, value: Scalar) -> bool:
        """Tell whether `value` begins or ends with the text, its far quote included."""
        if not isinstance(value, str):
            return False
        return self.text.begins('"' + value if self.text.reverse else value + '"')


@dataclass(frozen=True, slots=True)
class Wildcard(Test):
    """`wildcard`."""

    glob: Glob

    def holds(self, value: Scalar) -> bool:
        """Tell whether `value` is a string of the glob's form."""
        return isinstance(value, str) and self.glob.matches(value)


@dataclass(frozen=True, slots=True)
class NumericRange(Test):
    """`numeric` with one or two bounds. A number that is no double is in no range."""

    bottom: float
    bottom_open: bool
    top: float
    top_open: bool

    def holds(self, value: Scalar) -> bool:
        """Tell whether `value` is a number between the bounds."""
        if not isinstance(value, float):
            return False
        above = value > self.bottom if self.bottom_open else value >= self.bottom
        below = value < self.top if self.top_open else value <= self.top
        return above and below


@dataclass(frozen=True, slots=True)
class InBlock(Test):
    """`cidr`."""

    block: Block

    def holds(self, value: Scalar) -> bool:
        """Tell whether `value` spells an address in the block."""
        if not isinstance(value, str):
            return False
        address = parse_address(value)
        return address is not None and self.block.holds(address)


@dataclass(frozen=True, slots=True)
class NoneOf(Test):
    """`anything-but`: any scalar, of whatever type, that the listed alternatives do not admit."""

    excluded: Condition

    def holds(self, value: Scalar) -> bool:
        """Tell whether `value` is none of the excluded."""
        return not self.excluded.admits(value)


def wildcards_of(condition: Condition) -> list[Glob]:
    """Return every wildcard in a condition, those under `anything-but` included."""
    globs = [test.glob for test in condition.tests if isinstance(test, Wildcard)]
    for test in condition.tests:
        if isinstance(test, NoneOf):
            globs.extend(wildcards_of(test.excluded))
    return globs
