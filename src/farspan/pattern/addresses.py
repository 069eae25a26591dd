"""IP addresses and CIDR blocks as event patterns see them.

An address is a pair of version and number, so that two spellings of one address are equal. Nothing
here may resolve a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final

#: Addresses that a pattern can name: dotted decimal, leading zeros allowed, and colon-separated
#: hexadecimal. Zones and IPv4-mapped notation are not among them.
_IPV4: Final = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", re.ASCII)
_IPV6: Final = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f:]*", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,9}", re.ASCII)
#: Eight groups of four digits: an event's longer strings need no look.
_CHARACTERS_MAX: Final = 39
_OCTET_MAX: Final = 255
_OCTET_DIGITS_MAX: Final = 3
_IPV4_DOTS: Final = 3
_BITS: Final = {4: 32, 6: 128}


class AddressFault(ValueError):
    """The address or block is not valid; the message is AWS's reason, which has no place."""


@dataclass(frozen=True, slots=True)
class Address:
    """An IP address; `version` is 4 or 6."""

    version: int
    number: int


@dataclass(frozen=True, slots=True)
class Block:
    """The addresses of one version that share their first bits."""

    version: int
    shift: int
    prefix: int

    @classmethod
    def parse(cls, text: str) -> Block:
        """Read `address/bits`; host bits may be set. Raises `AddressFault`."""
        address_text, slash, bits_text = text.partition("/")
        if not slash or "/" in bits_text:
            raise AddressFault("Malformed CIDR, one '/' required")
        if not _INTEGER.fullmatch(bits_text):
            raise AddressFault("Malformed CIDR, mask bits must be an integer")
        bits = int(bits_text)
        if bits < 0:
            raise AddressFault("Malformed CIDR, mask bits must not be negative")
        address = _require_address(address_text)
        limit = _BITS[address.version]
        if bits >= limit:
            raise AddressFault(f"IPv{address.version} mask bits must be < {limit}")
        shift = limit - bits
        return cls(address.version, shift, address.number >> shift)

    def holds(self, address: Address) -> bool:
        """Tell whether `address` is in the block. All of IPv6 (`::/0`) includes all of IPv4."""
        if address.version != self.version:
            return self.version > address.version and self.shift == _BITS[self.version]
        return address.number >> self.shift == self.prefix


@lru_cache(maxsize=1_024)  # an event's value is asked for once by each condition on its field
def parse_address(text: str) -> Address | None:
    """Return the address that `text` spells, or None if it spells none."""
    if len(text) > _CHARACTERS_MAX:
        return None
    number = _ipv4_number(text)
    if number >= 0:
        return Address(4, number)
    if _IPV6.fullmatch(text):
        try:
            return Address(6, int(IPv6Address(text)))
        except ValueError:
            return None
    return None


def _ipv4_number(text: str) -> int:
    """Return the number of a dotted decimal, -1 for anything else. Compiled, faster than `re`."""
    number, octet, digits, dots = 0, 0, 0, 0
    for character in text:
        if "0" <= character <= "9":
            octet = octet * 10 + ord(character) - 48
            digits += 1
            if digits > _OCTET_DIGITS_MAX or octet > _OCTET_MAX:
                return -1
        elif character == "." and digits:
            number, octet, digits, dots = (number << 8) + octet, 0, 0, dots + 1
        else:
            return -1
    return (number << 8) + octet if dots == _IPV4_DOTS and digits else -1


def _require_address(text: str) -> Address:
    address = parse_address(text)
    if address is not None:
        return address
    if _IPV4.fullmatch(text) or _IPV6.fullmatch(text):
        raise AddressFault(f"Invalid IP address: {text}")
    raise AddressFault(f"Nonstandard IP address: {text}")
