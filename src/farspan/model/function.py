"""A Lambda function that runs somewhere of its own: a name, and the URL that invokes it."""

from __future__ import annotations

import re
from typing import ClassVar, Final

import msgspec

FUNCTION_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
"""Lambda's form of a function's name."""


class Function(msgspec.Struct, frozen=True, kw_only=True):
    """An account's function in a Region, as `farspan function add` made it known."""

    KIND: ClassVar[str] = "function"

    region: str
    account: str
    name: str
    url: str
    creation_time: float = 0.0

    @property
    def arn(self) -> str:
        """The function's ARN, which targets name."""
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{self.name}"

    @property
    def key(self) -> str:
        """The key among functions."""
        return f"{self.account}/{self.name}"
