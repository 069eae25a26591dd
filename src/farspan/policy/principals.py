"""Who calls, and whether a statement's Principal names them.

A caller is named by its own ARN, by the role of its session, and by its account, whose number and
root ARN are one name. Being named by the account is less than being named oneself: within the
account it leaves the decision to identity policies. Source: IAM user guide, "Principal".
Nothing here may decide a request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from farspan.model.arn import parse_arn
from farspan.policy.document import ANYONE, PrincipalKind, Principals

_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)
_SERVICE: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+", re.ASCII)
_NAMED: Final = re.compile(r"(?:user|role|federated-user)/[\w+=,.@/-]+", re.ASCII)
_SESSION: Final = re.compile(r"assumed-role/[\w+=,.@-]+/[\w+=,.@-]+", re.ASCII)
_ROOT: Final = "root"
_CACHED_NAMES_MAX: Final = 4_096


class Naming(IntEnum):
    """How closely a statement names the caller."""

    NOT = 0  # it names others
    ACCOUNT = 1  # it names the caller's account, which may pass the permission on
    DIRECT = 2  # it names the caller, or everyone


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request. Of a service, only `service` is set."""

    name: str
    account: str | None = None
    role: str | None = None
    service: str | None = None
    is_root: bool = False


@lru_cache(maxsize=_CACHED_NAMES_MAX)
def read_caller(text: str) -> Caller:
    """Read an ARN, an account's number, or a service's name; anything else is only itself."""
    if is_account(text):
        return Caller(text, account=text, is_root=True)
    arn = parse_arn(text)
    if arn is None:
        return Caller(text, service=text)
    kind, _, rest = arn.resource.partition("/")
    role = rest.partition("/")[0] if (arn.service, kind) == ("sts", "assumed-role") else None
    return Caller(text, account=arn.account, role=role, is_root=_is_root_of(text) is not None)


def is_account(text: str) -> bool:
    """Tell whether `text` is an account's number."""
    return _ACCOUNT.fullmatch(text) is not None


def is_principal(kind: PrincipalKind, text: str) -> bool:
    """Tell whether `text` can stand for a principal of that kind in a bus policy."""
    if kind is PrincipalKind.SERVICE:
        return _SERVICE.fullmatch(text) is not None
    if text == ANYONE or is_account(text):
        return True
    arn = parse_arn(text)
    if arn is None or arn.region or not is_account(arn.account):
        return False
    if arn.service == "sts":
        named = _SESSION.fullmatch(arn.resource) or _NAMED.fullmatch(arn.resource)
        return bool(named) and not arn.resource.startswith(("user/", "role/"))
    is_named = _NAMED.fullmatch(arn.resource) and not arn.resource.startswith("federated-user/")
    return arn.service == "iam" and (arn.resource == _ROOT or bool(is_named))


def root_arn(account: str, partition: str = "aws") -> str:
    """Return the ARN that stands for the whole account."""
    return f"arn:{partition}:iam::{account}:{_ROOT}"


def naming_of(principals: Principals, caller: Caller) -> Naming:
    """Return how closely `Principal` names the caller. Everyone includes services."""
    if principals.everyone:
        return Naming.DIRECT
    closest = Naming.NOT
    for kind, values in principals.members:
        for text in values.texts:
            closest = max(closest, _naming_by(kind, text, caller))
    return closest


def is_exempt(not_principals: Principals, caller: Caller) -> bool:
    """Tell whether `NotPrincipal` leaves the caller out of a Deny.

    It must name the caller and the caller's account, and for a session its role too: whoever is
    left out is left out under each of their names.
    """
    if caller.service is not None:
        return naming_of(not_principals, caller) is Naming.DIRECT
    if not_principals.everyone:
        return True
    texts = {
        text
        for kind, values in not_principals.members
        if kind is PrincipalKind.AWS
        for text in values.texts
    }
    if ANYONE in texts:
        return True
    accounts = {text if is_account(text) else _is_root_of(text) for text in texts}
    if caller.account not in accounts:
        return False
    if caller.is_root:
        return True
    return caller.name in texts and (
        caller.role is None or any(_is_role_of(text, caller) for text in texts)
    )


def _naming_by(kind: PrincipalKind, text: str, caller: Caller) -> Naming:
    if kind is PrincipalKind.SERVICE:
        return Naming.DIRECT if text == caller.service else Naming.NOT
    if text == ANYONE:
        return Naming.DIRECT
    if caller.account is None:
        return Naming.NOT
    if text == caller.account or _is_root_of(text) == caller.account:
        return Naming.DIRECT if caller.is_root else Naming.ACCOUNT
    if text == caller.name or _is_role_of(text, caller):
        return Naming.DIRECT
    return Naming.NOT


@lru_cache(maxsize=_CACHED_NAMES_MAX)
def _is_root_of(text: str) -> str | None:
    arn = parse_arn(text)
    return arn.account if arn and (arn.service, arn.resource) == ("iam", _ROOT) else None


def _is_role_of(text: str, caller: Caller) -> bool:
    """Tell whether `text` is the session's role: its name is unique whatever its path."""
    if caller.role is None or not text.endswith(caller.role):
        return False
    arn = parse_arn(text)
    if arn is None or arn.service != "iam":
        return False
    is_role = arn.account == caller.account and arn.resource.startswith("role/")
    return is_role and arn.resource.rpartition("/")[2] == caller.role
