"""The scalars that patterns and events have in common, in one canonical form.

Python thinks that `True == 1 == 1.0`; JSON does not. Here every JSON scalar becomes a value whose
`==` and `hash` are those of the pattern language, so that a set or a dict can compare them. Nothing
here may look at objects or arrays.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, auto
from typing import Final


class Literal(Enum):
    """The scalars that are neither string nor number."""

    TRUE = auto()
    FALSE = auto()
    NULL = auto()


@dataclass(frozen=True, slots=True)
class InexactNumber:
    """A number that no IEEE double holds: it equals only itself as written, and has no order."""

    text: str


Scalar = str | float | Literal | InexactNumber
"""A JSON scalar; strings are bare, numbers are doubles wherever a double can hold them."""

#: Up to this magnitude every integer is a double.
_EXACT_INTEGER_MAX: Final = 2**53
#: Within the range below, any number of at most fifteen digits survives a double.
_SAFE_CHARACTERS_MAX: Final = 15
_SAFE_MAGNITUDE_MIN: Final = 1e-280
_SAFE_MAGNITUDE_MAX: Final = 1e280
_NONZERO: Final = re.compile(r"[-0.]*[1-9]")


def scalar_of_number(text: str) -> float | InexactNumber:
    """Return the double that `text`, a JSON number, spells, or its text if no double is that value.

    The test is the round trip: a double is the number if its shortest form has the same value.
    """
    double = float(text)
    magnitude = abs(double)
    if len(text) <= _SAFE_CHARACTERS_MAX and _SAFE_MAGNITUDE_MIN < magnitude < _SAFE_MAGNITUDE_MAX:
        return double
    if not magnitude:
        # Zero, or too small for a double; exponents that Decimal refuses are among these.
        return InexactNumber(text) if _NONZERO.match(text) else double
    if math.isfinite(double) and Decimal(repr(double)) == Decimal(text):
        return double
    return InexactNumber(text)


def scalar_of_json(value: object) -> Scalar:
    """Return the canonical form of a scalar as the event decoder leaves it.

    Floats have been through `scalar_of_number` already; only integers may still need it.
    """
    if isinstance(value, (str, float, InexactNumber)):  # a union would be built at each call
        return value
    if value is None:
        return Literal.NULL
    if value is True:
        return Literal.TRUE
    if value is False:
        return Literal.FALSE
    assert isinstance(value, int)
    if -_EXACT_INTEGER_MAX <= value <= _EXACT_INTEGER_MAX:
        return float(value)
    return scalar_of_number(str(value))
