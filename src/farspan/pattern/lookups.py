"""Find, among many questions about one field, those that a value may answer.

Theory: a condition is turned into keys (`keys_of`), one for each of its alternatives, and a value
leads straight to the keys that it meets. Each kind of key has its own table:

    exact, folded       one look-up
    prefix, suffix      one look-up for each length in use
    address block       one look-up for each mask in use
    numeric range       one block for each level in use of a tree of doubles, see `RangeLookup`
    wildcard            its rarest literal: as a prefix or suffix, or by pieces, see `PieceLookup`

A key that *decides* is met by exactly the values that meet the condition; any other is met by all
of them and some more. Adding or removing a key touches nothing but its own place. Nothing here may
know what hangs on a key.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Any, Final

from farspan.pattern.addresses import parse_address
from farspan.pattern.conditions import (
    Condition,
    FoldedEdge,
    FoldedEqual,
    InBlock,
    NumericRange,
    Prefix,
    SameAddress,
    Suffix,
    Test,
    Wildcard,
)
from farspan.pattern.scalars import Scalar

if TYPE_CHECKING:
    from collections.abc import Hashable

    Key = tuple[int, Hashable]
    """The kind of a key, and what is looked up in that kind's table."""

EXACT: Final = 0
FOLDED: Final = 1
PREFIX: Final = 2
SUFFIX: Final = 3
FOLDED_PREFIX: Final = 4
FOLDED_SUFFIX: Final = 5
ADDRESS: Final = 6
BLOCK: Final = 7
RANGE: Final = 8
OPEN_RANGE: Final = 9
PIECE: Final = 10

WEIGHTS: Final = (1.0, 0.95, 0.8, 0.8, 0.75, 0.75, 0.8, 0.7, 0.5, 0.1, 0.6)
"""By kind: how well a key of that kind tells values apart, against what looking it up costs."""

KEYS_MAX: Final = 64
"""Keys of one condition; one with more alternatives is asked of every value."""

_ALL_OF_IPV6: Final = 128  # the shift of `::/0`, which holds every IPv4 address too


class Keys:
    """The keys of a condition, and whether meeting one of them is all there is to it."""

    __slots__ = ("decide", "keys", "weight")

    def __init__(self, keys: tuple[Key, ...], *, decide: bool) -> None:
        self.keys = keys
        self.decide = decide
        self.weight = min([WEIGHTS[kind] for kind, _ in keys], default=0.0)


NO_KEYS: Final = Keys((), decide=False)


def keys_of(condition: Condition) -> Keys:
    """Return the keys of a condition: none, where some value meets it that no key leads to."""
    if condition.absent or len(condition.values) + len(condition.tests) > KEYS_MAX:
        return NO_KEYS
    keys: dict[Key, None] = {(EXACT, value): None for value in condition.values}
    decide = True
    for test in condition.tests:
        found = _keys_of_test(test)
        if not found.keys:
            return NO_KEYS
        keys.update(dict.fromkeys(found.keys))
        decide = decide and found.decide
    return Keys(tuple(keys), decide=decide)


def _keys_of_test(test: Test) -> Keys:  # noqa: PLR0911 - one line for each kind of test
    if isinstance(test, Prefix | Suffix):
        return _edge_keys(test)
    if isinstance(test, FoldedEqual):
        lower = test.text.lower
        return NO_KEYS if lower is None else _one_key(FOLDED, lower)
    if isinstance(test, FoldedEdge):
        return _folded_edge_keys(test)
    if isinstance(test, NumericRange):
        return _range_keys(test)
    if isinstance(test, SameAddress):
        return _one_key(ADDRESS, test.address)
    if isinstance(test, InBlock):
        block = test.block
        if block.shift == _ALL_OF_IPV6:
            return NO_KEYS
        return _one_key(BLOCK, ((block.version, block.shift), block.prefix))
    if isinstance(test, Wildcard):
        return _wildcard_keys(test)
    return NO_KEYS


def _one_key(kind: int, value: Hashable) -> Keys:
    return Keys(((kind, value),), decide=True)


def _edge_keys(test: Prefix | Suffix) -> Keys:
    # A text that reaches a string's far quote means the whole string, too: no table has that.
    text = test.text
    if isinstance(test, Prefix):
        return NO_KEYS if not text or text.endswith('"') else _edge_key(PREFIX, text)
    return NO_KEYS if not text or text.startswith('"') else _edge_key(SUFFIX, text)


def _edge_key(kind: int, text: str, *, decide: bool = True) -> Keys:
    return Keys(((kind, (len(text), text)),), decide=decide)


def _folded_edge_keys(test: FoldedEdge) -> Keys:
    lower = test.text.lower
    if not lower or '"' in (lower[0], lower[-1]):
        return NO_KEYS
    return _edge_key(FOLDED_SUFFIX if test.text.reverse else FOLDED_PREFIX, lower)


def _range_keys(test: NumericRange) -> Keys:
    low = math.nextafter(test.bottom, math.inf) if test.bottom_open else test.bottom
    high = math.nextafter(test.top, -math.inf) if test.top_open else test.top
    if low > high:
        return NO_KEYS
    is_open = math.isinf(low) or math.isinf(high)
    return _one_key(OPEN_RANGE if is_open else RANGE, (low, high))


def _wildcard_keys(test: Wildcard) -> Keys:
    literals = test.glob.literals
    if len(literals) == 1:
        return _one_key(EXACT, literals[0])
    first, last = literals[0], literals[-1]
    inner = max(literals[1:-1], key=_rarity_of, default="")
    if not (first or last or inner):
        return NO_KEYS  # `*`: any string
    rarity = _rarity_of(inner)
    if _rarity_of(first) >= max(_rarity_of(last), rarity):
        return _edge_key(PREFIX, first, decide=False)
    if _rarity_of(last) >= rarity:
        return _edge_key(SUFFIX, last, decide=False)
    return Keys(pieces_of(inner), decide=False)


def _rarity_of(text: str) -> int:
    """Return how likely it is that a text tells one rule from another: digits do."""
    rarity = 0
    for one in text:
        rarity += 6 if one.isdigit() else 4 if one.isupper() else 2 if one.isalpha() else 1
    return rarity


# --- the tables ------------------------------------------------------------------------------


class Branch:
    """What hangs on a key."""

    __slots__ = ()


class Lookup:
    """The keys of one kind and their branches."""

    __slots__ = ("table",)

    def __init__(self) -> None:
        self.table: dict[Hashable, Branch] = {}

    def get(self, key: Hashable) -> Branch | None:
        """Return what hangs on a key."""
        return self.table.get(key)

    def put(self, key: Hashable, branch: Branch) -> None:
        """Hang a branch on a key, in place of what was there."""
        self.table[key] = branch

    def drop(self, key: Hashable) -> None:
        """Forget a key. It must be there."""
        del self.table[key]

    def branches(self) -> list[Branch]:
        """Return all branches."""
        return list(self.table.values())

    def find(self, value: Scalar, found: list[Branch]) -> None:
        """Add the branches to which `value` leads."""
        branch = self.table.get(value)
        if branch is not None:
            found.append(branch)


class FoldedLookup(Lookup):
    """`equals-ignore-case` of ASCII texts, which no other value meets."""

    __slots__ = ()

    def find(self, value: Scalar, found: list[Branch]) -> None:
        """Add the branch of the text."""
        if isinstance(value, str) and value.isascii():
            branch = self.table.get(value.lower())
            if branch is not None:
                found.append(branch)


class AddressLookup(Lookup):
    """Addresses, however they are spelled."""

    __slots__ = ()

    def find(self, value: Scalar, found: list[Branch]) -> None:
        """Add the branch of the address that the value spells."""
        address = parse_address(value) if isinstance(value, str) else None
        branch = self.table.get(address) if address is not None else None
        if branch is not None:
            found.append(branch)


class GroupedLookup(Lookup):
    """Keys of several groups, each of which is looked at in its own way: keys are (group, item).

    `groups` is replaced, never changed, when a group comes or goes.
    """

    __slots__ = ("groups",)

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[tuple[Any, dict[Hashable, Branch]]] = []

    def _items(self, group: Hashable) -> dict[Hashable, Branch] | None:
        for known, items in self.groups:
            if known == group:
                return items
        return None

    def get(self, key: Hashable) -> Branch | None:
        """Return what hangs on a key."""
        assert isinstance(key, tuple)
        items = self._items(key[0])
        return None if items is None else items.get(key[1])

    def put(self, key: Hashable, branch: Branch) -> None:
        """Hang a branch on a key, in place of what was there."""
        assert isinstance(key, tuple)
        items = self._items(key[0])
        if items is None:
            items = {}
            self.groups = sorted([*self.groups, (key[0], items)], key=_group_of)
        items[key[1]] = branch

    def drop(self, key: Hashable) -> None:
        """Forget a key. It must be there."""
        assert isinstance(key, tuple)
        items = self._items(key[0])
        assert items is not None
        del items[key[1]]
        if not items:
            self.groups = [pair for pair in self.groups if pair[0] != key[0]]

    def branches(self) -> list[Branch]:
        """Return all branches."""
        return [branch for _, items in self.groups for branch in items.values()]


def _group_of(pair: tuple[Any, dict[Hashable, Branch]]) -> Any:  # noqa: ANN401 - as the lookup has it
    return pair[0]


class EdgeLookup(GroupedLookup):
    """Texts with which a value begins, or ends, by length."""

    __slots__ = ("at_end",)

    def __init__(self, *, at_end: bool) -> None:
        super().__init__()
        self.at_end = at_end

    def find(self, value: Scalar, found: list[Branch]) -> None:
        """Add the branch of every text at the value's edge."""
        if not isinstance(value, str):
            return
        size = len(value)
        for group, items in self.groups:
            length: int = group
            if length > size:
                return
            branch = items.get(value[size - length :] if self.at_end else value[:length])
            if branch is not None:
                found.append(branch)


class FoldedEdgeLookup(EdgeLookup):
    """ASCII texts with which a value begins, or ends, whatever the case."""

    __slots__ = ()

    def find(self, value: Scalar, found: list[Branch]) -> None:
        """Add the branch of every text at the value's edge."""
        if isinstance(value, str):
            EdgeLookup.find(self, _ascii_lower(value), found)


_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _ascii_lower(text: str) -> str:
    """Return the text with its ASCII letters small: no other letter becomes one."""
    return text.lower() if text.isascii() else text.translate(_LOWER)


class BlockLookup(GroupedLookup):
    """Blocks of addresses: groups are (version, shift)."""

    __slots__ = ()

    def find(self, value: Scalar, found: list[Branch]) -> None:
        """Add the branch of every block that holds the address which the value spells."""
        address = parse_address(value) if isinstance(value, str) else None
        if address is None:
            return
        for group, items in self.groups:
            version: int = group[0]
            shift: int = group[1]
            if version == address.version:
                branch = items.get(address.number >> shift)
                if branch is not None:
                    found.append(branch)


# --- pieces ----------------------------------------------------------------------------------

_STEPS: Final = {16: 5, 12: 4, 9: 3, 7: 3, 5: 2, 4: 2, 3: 1, 2: 1, 1: 1}
"""Literals are cut to one of these lengths, so that there are few groups; the pieces of each."""


def pieces_of(literal: str) -> tuple[Key, ...]:
    """Return the keys of a literal that may stand anywhere in a value."""
    length = next(length for length in _STEPS if length <= len(literal))
    step = _STEPS[length]
    size = length - step + 1
    cuts = [
        [literal[start + shift : start + shift + size] for shift in range(step)]
        for start in range(len(literal) - length + 1)
    ]
    rarest = max(cuts, key=lambda pieces: min(map(_rarity_of, pieces)))
    return tuple([(PIECE, ((size, step), piece)) for piece in dict.fromkeys(rarest)])


class PieceLookup(GroupedLookup):
    """Literals that may stand anywhere in a value: groups are (size, step) of their pieces.

    Of a value only every `step`-th piece is looked at. A literal has `step` pieces, one beginning
    at each of its first characters; so one of them is looked at, wherever the literal stands.
    """

    __slots__ = ()

    def find(self, value: Scalar, found: list[Branch]) -> None:
        """Add the branches of the pieces in the value."""
        if not isinstance(value, str):
            return
        for group, items in self.groups:
            size: int = group[0]
            step: int = group[1]
            start = 0
            last = len(value) - size
            while start <= last:
                branch = items.get(value[start : start + size])
                if branch is not None:
                    found.append(branch)
                start += step


# --- ranges ----------------------------------------------------------------------------------

_MANTISSA_BITS: Final = 49
_SCALE: Final = 2.0 ** (_MANTISSA_BITS + 1)
_LEAST_EXPONENT: Final = 1_080
_ZERO: Final = 2_112 << _MANTISSA_BITS


def place_of(number: float) -> int:
    """Return about where a double stands among all doubles: an integer of 62 bits.

    Never falls as the number grows; a few neighbours share a place.
    """
    if number == 0:
        return _ZERO
    if math.isinf(number):
        return 2 * _ZERO if number > 0 else 0
    mantissa, exponent = math.frexp(abs(number))  # mantissa from 0.5 to 1
    fraction = int((mantissa - 0.5) * _SCALE)
    distance = ((exponent + _LEAST_EXPONENT) << _MANTISSA_BITS) + fraction
    return _ZERO + distance if number > 0 else _ZERO - distance


class _RangeBlock:
    """The ranges that lie in one aligned block of places and reach over its middle."""

    __slots__ = ("by_high", "by_low", "middle")

    def __init__(self, middle: int) -> None:
        self.middle = middle
        self.by_low: list[tuple[float, float]] = []  # (low, high), in order
        self.by_high: list[tuple[float, float]] = []  # (-high, low), in order


_Level = tuple[int, dict[int, _RangeBlock]]


def _blocks_in(levels: list[_Level], level: int) -> dict[int, _RangeBlock] | None:
    for known, blocks in levels:
        if known == level:
            return blocks
    return None


class RangeLookup(Lookup):
    """Ranges of doubles, both ends included: keys are (low, high).

    An interval tree whose shape is fixed beforehand, so that no range ever moves: all places of
    doubles in order are halved again and again, and a range is kept in the smallest block that
    holds it whole. There it reaches over the middle; so of a block's ranges a value below the
    middle can only miss those that begin above it, and any other value those that end below it.
    """

    __slots__ = ("narrow", "wide")

    def __init__(self) -> None:
        super().__init__()
        # Blocks by their bits and then by their number. Those in which all numbers have one
        # exponent are apart: of them a value can only meet those with its own.
        self.wide: list[_Level] = []
        self.narrow: dict[int, list[_Level]] = {}

    def put(self, key: Hashable, branch: Branch) -> None:
        """Hang a branch on a range."""
        if key not in self.table:
            low, high = _ends(key)
            level, number, middle = _block_of(low, high)
            levels = self.wide
            if level <= _MANTISSA_BITS:
                levels = self.narrow.setdefault(number >> (_MANTISSA_BITS - level), [])
            blocks = _blocks_in(levels, level)
            if blocks is None:
                blocks = {}
                levels.append((level, blocks))
            block = blocks.get(number)
            if block is None:
                block = blocks[number] = _RangeBlock(middle)
            insort(block.by_low, (low, high))
            insort(block.by_high, (-high, low))
        self.table[key] = branch

    def drop(self, key: Hashable) -> None:
        """Forget a range. It must be there."""
        low, high = _ends(key)
        level, number, _ = _block_of(low, high)
        levels = self.wide
        if level <= _MANTISSA_BITS:
            levels = self.narrow[number >> (_MANTISSA_BITS - level)]
        blocks = _blocks_in(levels, level)
        assert blocks is not None
        block = blocks[number]
        del block.by_low[bisect_left(block.by_low, (low, high))]
        del block.by_high[bisect_left(block.by_high, (-high, low))]
        if not block.by_low:
            del blocks[number]
            if not blocks:
                levels.remove((level, blocks))
        del self.table[key]

    def find(self, value: Scalar, found: list[Branch]) -> None:
        """Add the branch of every range that the value lies in."""
        if not isinstance(value, float):
            return
        place = place_of(value)
        narrow = self.narrow.get(place >> _MANTISSA_BITS)
        if narrow is not None:
            self._find_at(narrow, place, value, found)
        if self.wide:
            self._find_at(self.wide, place, value, found)

    def _find_at(self, levels: list[_Level], place: int, value: float, found: list[Branch]) -> None:
        for level, blocks in levels:
            block = blocks.get(place >> level)
            if block is not None:
                self._find_in(block, place < block.middle, value, found)

    def _find_in(self, block: _RangeBlock, is_low: bool, value: float, found: list[Branch]) -> None:
        # Neighbours may share the middle's place: the other end is compared as well.
        if is_low:
            for low, high in block.by_low:
                if low > value:
                    break
                if value <= high:
                    found.append(self.table[(low, high)])
        else:
            for negative, low in block.by_high:
                if -negative < value:
                    break
                if value >= low:
                    found.append(self.table[(low, -negative)])


def _block_of(low: float, high: float) -> tuple[int, int, int]:
    """Return the level, the number and the middle of the smallest block that holds a range."""
    first, last = place_of(low), place_of(high)
    level = 0
    while first >> level != last >> level:
        level += 1
    middle = last if level == 0 else (last >> (level - 1)) << (level - 1)
    return level, first >> level, middle


def _ends(key: Hashable) -> tuple[float, float]:
    assert isinstance(key, tuple)
    low, high = key
    return low, high


def lookup_of(kind: int) -> Lookup:  # noqa: PLR0911 - one line for each kind of key
    """Return an empty table for a kind of key."""
    if kind == FOLDED:
        return FoldedLookup()
    if kind == PREFIX:
        return EdgeLookup(at_end=False)
    if kind == SUFFIX:
        return EdgeLookup(at_end=True)
    if kind == FOLDED_PREFIX:
        return FoldedEdgeLookup(at_end=False)
    if kind == FOLDED_SUFFIX:
        return FoldedEdgeLookup(at_end=True)
    if kind == ADDRESS:
        return AddressLookup()
    if kind == BLOCK:
        return BlockLookup()
    if kind in (RANGE, OPEN_RANGE):
        return RangeLookup()
    if kind == PIECE:
        return PieceLookup()
    return Lookup()
