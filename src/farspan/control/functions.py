"""Lambda functions that have a URL of their own, as `/-/functions` shows and changes them.

AWS has no such calls: a function is whatever answers at its URL as Lambda's Invoke API does. The
caller sees its own account's, and those that the configuration names for every account. Whether
anything answers at a URL is not asked; a delivery to what is not there fails by name.
"""

from __future__ import annotations

from typing import Final

from farspan.config import is_http_url
from farspan.control.authority import authorize_own
from farspan.control.plane import Caller, ControlPlane, Output
from farspan.errors import (
    LimitExceededException,
    ResourceNotFoundException,
    ValidationException,
)
from farspan.model.function import FUNCTION_NAME, Function

FUNCTIONS_MAX: Final = 1_000
"""Functions of one account in a Region."""

URL_CHARACTERS_MAX: Final = 2_048


async def list_functions(plane: ControlPlane, caller: Caller) -> Output:
    """Return the functions that the caller's targets can name, by name."""
    authorize_own(plane, caller, "events:ListFunctions", _arn(plane, caller, "*"))
    found = {
        name: {"name": name, "arn": _arn(plane, caller, name), "url": url, "from": "farspan.toml"}
        for name, url in plane.targets.functions.items()
    }
    # An account's own is meant where both have the name.
    for one in plane.resources.table(Function).starting_with(f"{caller.account}/"):
        found[one.name] = {"name": one.name, "arn": one.arn, "url": one.url, "from": "account"}
    return {"region": plane.region, "functions": [found[name] for name in sorted(found)]}


async def put_function(
    plane: ControlPlane, caller: Caller, name: str | None, url: str | None
) -> Output:
    """Make a function known, or give one that is known another URL."""
    if not name or not FUNCTION_NAME.fullmatch(name):
        raise ValidationException("name must have 1 to 64 letters, digits, `-` and `_`.")
    if not url or len(url) > URL_CHARACTERS_MAX or not is_http_url(url):
        raise ValidationException("url must be an http URL such as http://127.0.0.1:9000.")
    authorize_own(plane, caller, "events:PutFunction", _arn(plane, caller, name))
    async with plane.changing:
        table = plane.resources.table(Function)
        is_new = f"{caller.account}/{name}" not in table
        if is_new and len(table.starting_with(f"{caller.account}/")) >= FUNCTIONS_MAX:
            raise LimitExceededException(
                f"Account {caller.account} has {FUNCTIONS_MAX} functions in Region {plane.region}, "
                "which is the most that it may have."
            )
        now = plane.clock.now()
        function = Function(
            region=plane.region, account=caller.account, name=name, url=url, creation_time=now
        )
        await plane.resources.save(function, now=now)
    return {"region": plane.region, "name": name, "arn": function.arn, "url": url}


async def remove_function(plane: ControlPlane, caller: Caller, name: str | None) -> Output:
    """Forget a function. Raises ResourceNotFoundException where the account has none of the name.

    Rules keep their targets; events for it become dead letters that say so.
    """
    arn = _arn(plane, caller, name or "*")
    authorize_own(plane, caller, "events:RemoveFunction", arn)
    async with plane.changing:
        function = plane.resources.table(Function).get(f"{caller.account}/{name}")
        if function is None:
            where = " It is in farspan.toml." if name in plane.targets.functions else ""
            raise ResourceNotFoundException(
                f"Account {caller.account} has no function {name} in Region {plane.region}.{where}"
            )
        await plane.resources.remove(function, now=plane.clock.now())
    return {"region": plane.region, "name": function.name, "arn": arn}


def has_url(plane: ControlPlane, caller: Caller, name: str) -> bool:
    """Tell whether a function has a URL of its own."""
    key = f"{caller.account}/{name}"
    return name in plane.targets.functions or key in plane.resources.table(Function)


def _arn(plane: ControlPlane, caller: Caller, name: str) -> str:
    return f"arn:aws:lambda:{plane.region}:{caller.account}:function:{name}"
