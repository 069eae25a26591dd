"""Whether two Regions hold the same batches of a stream, and which ones are missing. Pure.

*Theory.* A stream is cut into buckets of sequences. A bucket's digest is over which batches stand
in it: sequence, count of events, call (from which the events' ids follow). The copy's Region asks
the origin's for digests, compares them with its own, cuts a bucket whose digests differ into
sixteen until the parts are small, then asks for the keys themselves. What the origin has and the
copy has not is fetched and appended again.

What may differ rightly: retention took other parts in each Region (a comparison is bounded by what
both still hold); and a call that both Regions accepted stands in the copy as its own, not as a
replica. So a batch is missing only where no log of the Region has its call.

A minute's comparison covers what came since the last, and in turn a part of what is older.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from farspan.store.base import BatchKey

BUCKET_SEQUENCES: Final = 4_096
LEAF_SEQUENCES: Final = 256
"""A range that is not halved any more: its keys are a few kilobytes."""

FAN_OUT: Final = 16
QUESTION_RANGES_MAX: Final = 16
"""Ranges in one question: what one read of a store may hold up others for."""

OLD_BUCKETS_EACH: Final = 64
"""Older buckets that one comparison looks at: a quarter of a million events."""

_encode = msgspec.msgpack.Encoder().encode


class Range(NamedTuple):
    """Sequences from `first` to `last`, both in it."""

    first: int
    last: int


class DigestRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask the origin for the digests of ranges of its stream, or, with `keys`, for what is in them.

    `region` is who asks, `log` the identity of the log that its cursor is for.
    """

    stream: str
    region: str
    log: str
    ranges: tuple[Range, ...]
    keys: bool = False


class DigestReply(msgspec.Struct, frozen=True, kw_only=True):
    """A digest, or the keys, of each range asked for; nothing where the log is another one.

    `trimmed` is the last sequence that retention took: what is before cannot be compared.
    """

    log: str
    trimmed: int
    digests: tuple[bytes, ...] = ()
    keys: tuple[tuple[BatchKey, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Sweep:
    """How far comparing has come: up to `checked` once, and from `old` on in turn again."""

    checked: int = 0
    old: int = 0


class Findings(NamedTuple):
    """What one range's keys came to: `missing` here, and `surplus` that the origin lacks."""

    missing: tuple[BatchKey, ...]
    surplus: tuple[BatchKey, ...]


def digest(keys: Iterable[BatchKey]) -> bytes:
    """Return what stands for these batches, in this order."""
    return hashlib.blake2b(_encode(tuple(keys)), digest_size=16).digest()


def plan_comparison(sweep: Sweep, *, start: int, end: int) -> tuple[list[Range], Sweep]:
    """Return the ranges to compare now, and the sweep after that.

    `start` is the first sequence that neither Region trimmed, `end` the last that was copied.
    """
    checked = min(sweep.checked, end)
    ranges = _buckets(max(checked + 1, start), end)
    old = sweep.old if start <= sweep.old <= checked else start
    again = _buckets(old, checked)[:OLD_BUCKETS_EACH]
    following = again[-1].last + 1 if again else old
    return again + ranges, Sweep(end, following)


def _buckets(first: int, last: int) -> list[Range]:
    """Cut a range at the buckets' bounds."""
    found = []
    while first <= last:
        bound = (first // BUCKET_SEQUENCES + 1) * BUCKET_SEQUENCES
        found.append(Range(first, min(bound - 1, last)))
        first = bound
    return found


def split(asked: Range) -> list[Range]:
    """Return the parts of a range, each small enough or a sixteenth of it."""
    size = asked.last - asked.first + 1
    step = max(LEAF_SEQUENCES, -(-size // FAN_OUT))
    return [
        Range(first, min(first + step - 1, asked.last))
        for first in range(asked.first, asked.last + 1, step)
    ]


def is_leaf(asked: Range) -> bool:
    """Return whether the range's keys are asked for, rather than the digests of its parts."""
    return asked.last - asked.first < LEAF_SEQUENCES


def differing(
    ranges: Sequence[Range], here: Sequence[bytes], there: Sequence[bytes]
) -> list[Range]:
    """Return the ranges whose digests are not the same in both Regions."""
    return [r for r, own, other in zip(ranges, here, there, strict=True) if own != other]


def find(here: Sequence[BatchKey], there: Sequence[BatchKey], known: set[bytes]) -> Findings:
    """Return what of a range is missing here, and what the origin lacks.

    `known` are the calls, of those that the origin has, that any log of this Region holds.
    """
    own, other = set(here), set(there)
    missing = (key for key in there if key not in own and key.call not in known)
    return Findings(tuple(missing), tuple(key for key in here if key not in other))


def unknown_calls(here: Sequence[BatchKey], there: Sequence[BatchKey]) -> list[bytes]:
    """Return the calls of which it has to be known whether any log of this Region has them."""
    own = set(here)
    return [key.call for key in there if key not in own]
