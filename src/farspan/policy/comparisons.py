"""Compare one value of a request with one value of a policy, each kind in its own way.

Each comparison answers yes, no, or None where one of the two is not of the kind compared. Sources:
IAM user guide, "Condition operators"; W3C note on date and time formats. Nothing here may know
about operators' names, missing keys or several values.
"""

from __future__ import annotations

import base64
import binascii
import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from farspan.policy.glob import Token, Wild
from farspan.policy.template import ARN_SEGMENTS, glob_of, literal
from farspan.policy.verdicts import Verdict

Segments = tuple[tuple[Token, ...], ...]
"""A policy's value: the segments of an ARN, or one segment for everything else."""

Comparison = Callable[[str, Segments], Verdict]

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,64}(?:\.[0-9]{1,64})?(?:[eE][+-]?[0-9]{1,3})?")
_DATE: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2})"
    r"(?:T([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?)?"
)
_TRUTHS: Final = {"true": True, "false": False}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ANY: Final = (Wild.MANY,)

Order = Callable[[Decimal, Decimal], bool]
Orders: Final[dict[str, Order]] = {
    "Equals": operator.eq,
    "LessThan": operator.lt,
    "LessThanEquals": operator.le,
    "GreaterThan": operator.gt,
    "GreaterThanEquals": operator.ge,
}
"""What may follow `Numeric` and `Date` in an operator's name."""


def equals(value: str, expected: Segments) -> Verdict:
    """Compare texts; wildcards are mere characters."""
    return value == literal(expected[0])


def equals_ignoring_case(value: str, expected: Segments) -> Verdict:
    """Compare texts without regard to case."""
    return value.lower() == literal(expected[0]).lower()


def is_like(value: str, expected: Segments) -> Verdict:
    """Compare a text with wildcards."""
    return glob_of(expected[0]).matches(value)


def is_arn_like(value: str, expected: Segments) -> Verdict:
    """Compare ARNs segment by segment: no wildcard reaches over one of the first five colons."""
    found = value.split(":", ARN_SEGMENTS - 1)
    if len(found) != ARN_SEGMENTS or len(expected) != ARN_SEGMENTS:
        return None
    pairs = zip(expected, found, strict=True)
    return all(glob_of(tokens).matches(segment) for tokens, segment in pairs)


def is_resource(value: str, expected: Segments) -> Verdict:
    """Compare a request's resource with a Resource element, whose missing segments are `*`."""
    if expected == (_ANY,):
        return True
    found = value.split(":", ARN_SEGMENTS - 1)
    if len(found) != ARN_SEGMENTS:
        return False
    whole = (*expected, *[_ANY] * (ARN_SEGMENTS - len(expected)))
    return all(glob_of(tokens).matches(part) for tokens, part in zip(whole, found, strict=True))


def number_comparison(order: Order) -> Comparison:
    """Return the comparison of numbers in that order."""
    return _ordered(parse_number, order)


def date_comparison(order: Order) -> Comparison:
    """Return the comparison of times in that order."""
    return _ordered(parse_date, order)


def is_same_truth(value: str, expected: Segments) -> Verdict:
    """Compare `true` and `false`."""
    found, wanted = parse_truth(value), parse_truth(literal(expected[0]))
    return None if found is None or wanted is None else found is wanted


def is_same_binary(value: str, expected: Segments) -> Verdict:
    """Compare bytes that are written in Base64."""
    found, wanted = parse_binary(value), parse_binary(literal(expected[0]))
    return None if found is None or wanted is None else found == wanted


def is_in_block(value: str, expected: Segments) -> Verdict:
    """Tell whether an address is in a block; an IPv4 address is in no IPv6 block."""
    address, block = parse_address(value), parse_block(literal(expected[0]))
    return None if address is None or block is None else address in block


def parse_number(text: str) -> Decimal | None:
    """Return the number that `text` spells, or None."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def parse_date(text: str) -> Decimal | None:
    """Return the seconds since 1970 that a W3C date or a number spells, or None.

    A date without a zone is in UTC.
    """
    found = _DATE.fullmatch(text)
    if not found:
        return parse_number(text)
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        moment = datetime(
            int(year),
            int(month),
            int(day or 1),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    seconds = (moment - _EPOCH) // timedelta(seconds=1) - _zone_seconds(zone or "Z")
    return seconds + Decimal(f"0.{fraction or 0}")


def parse_truth(text: str) -> bool | None:
    """Return the truth value that `text` spells, or None."""
    return _TRUTHS.get(text.lower())


def parse_binary(text: str) -> bytes | None:
    """Return the bytes that `text` spells in Base64, or None."""
    try:
        return base64.b64decode(text.encode(), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address that `text` spells, or None."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def parse_block(text: str) -> IPv4Network | IPv6Network | None:
    """Return the CIDR block that `text` spells, or None; an address alone is a block of one.

    A mask is a number of bits: masks that look like addresses could be read in two ways.
    """
    _, slash, bits = text.partition("/")
    if slash and not (bits.isascii() and bits.isdigit()):
        return None
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _ordered(parse: Callable[[str], Decimal | None], order: Order) -> Comparison:
    def compare(value: str, expected: Segments) -> Verdict:
        found, wanted = parse(value), parse(literal(expected[0]))
        return None if found is None or wanted is None else order(found, wanted)

    return compare


def _zone_seconds(zone: str) -> int:
    if zone == "Z":
        return 0
    seconds = int(zone[1:3]) * 3_600 + int(zone[4:6]) * 60
    return -seconds if zone[0] == "-" else seconds
