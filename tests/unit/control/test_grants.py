"""What a caller's policies come to: identity, session and resource together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from farspan.control.grants import (
    MANAGED_POLICIES,
    Grants,
    managed_document,
    parsed,
    policies_of,
)
from farspan.errors import ValidationException
from farspan.model.role import Role
from farspan.policy import Policy, Request, parse_bus_policy

OWN = "000000000000"
BUS = f"arn:aws:events:us-east-1:{OWN}:event-bus/orders"
USER = f"arn:aws:iam::{OWN}:user/u"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
ASKED = Request(principal=USER, action="events:PutEvents", resource=BUS)


def text(effect: str = "Allow", action: str = "events:PutEvents", **more: Any) -> str:
    """Return a policy of one statement."""
    statement = {"Effect": effect, "Action": action, "Resource": "*", **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def bus_policy(effect: str, principal: str) -> Policy:
    """Return a bus's policy of one statement."""
    found = text(effect, Sid="s", Principal={"AWS": principal})
    return parse_bus_policy(found, bus_arn=BUS)


ALLOW, DENY, NOTHING = parsed(text()), parsed(text("Deny")), parsed(text(action="sqs:*"))


@pytest.mark.parametrize(
    ("grants", "ending"),
    [
        (Grants(), "because no identity-based policy allows the events:PutEvents action"),
        (Grants((ALLOW,)), None),
        (Grants((NOTHING, ALLOW)), None),
        (Grants((ALLOW, DENY)), "with an explicit deny in an identity-based policy"),
        (
            Grants((ALLOW,), session=()),
            "because no session policy allows the events:PutEvents action",
        ),
        (Grants((ALLOW,), session=(ALLOW,)), None),
        (Grants((ALLOW,), session=(DENY,)), "with an explicit deny in a session policy"),
        (Grants((ALLOW,), session=(NOTHING,)), "because no session policy allows the"),
        (
            Grants((), session=(ALLOW,)),
            "because no identity-based policy allows the events:PutEvents action",
        ),
    ],
)
def test_a_callers_own_policies(grants: Grants, ending: str | None) -> None:
    """An Allow is needed of each that there is, and a Deny of any is the end."""
    denial = grants.denial(ASKED)

    assert (denial is None) is (ending is None)
    if ending is not None:
        assert ending in str(denial)


@pytest.mark.parametrize(
    ("grants", "resource", "same_account", "allowed"),
    [
        (Grants(), bus_policy("Allow", USER), True, True),
        (Grants(), bus_policy("Allow", USER), False, False),
        (Grants(), bus_policy("Allow", OWN), True, False),
        (Grants((ALLOW,)), bus_policy("Allow", OWN), False, True),
        (Grants((ALLOW,)), None, False, False),
        (Grants((ALLOW,)), bus_policy("Deny", OWN), True, False),
        (Grants((DENY,)), bus_policy("Allow", USER), True, False),
        (Grants((), session=(NOTHING,)), bus_policy("Allow", USER), True, False),
    ],
)
def test_with_a_resources_policy(
    grants: Grants, resource: Policy | None, same_account: bool, allowed: bool
) -> None:
    """Within an account either side allows, between accounts both have to; a Deny ends it."""
    denial = grants.denial(ASKED, resource, same_account=same_account)

    assert allowed is (denial is None)


def role(**changes: Any) -> Role:
    """Return a role."""
    return Role(
        region="us-east-1", account=OWN, name="r", role_id="AROA", trust_policy="{}", **changes
    )


def test_a_roles_policies_are_all_of_them() -> None:
    """Its own and those that it attaches."""
    found = policies_of(role(policies={"p": text("Deny")}, attached_policies=(ADMIN,)))

    assert (DENY, parsed(MANAGED_POLICIES[ADMIN])) == found


@pytest.mark.parametrize(
    "changes",
    [
        {"policies": {"p": text(), "q": "no policy"}},
        {"policies": {"p": text()}, "attached_policies": (f"{ADMIN}-that-is-none",)},
    ],
    ids=["unreadable", "unknown"],
)
def test_a_role_with_a_policy_that_cannot_be_read_may_do_nothing(changes: dict[str, Any]) -> None:
    """It may have been the one that denies."""
    assert policies_of(role(**changes)) == ()


@pytest.mark.parametrize("arn", sorted(MANAGED_POLICIES))
def test_managed_policies_can_be_read(arn: str) -> None:
    """Each of them is a policy that names no principal."""
    assert parsed(managed_document(arn)).statements


def test_a_policy_that_is_none_is_refused() -> None:
    """Reading is remembered, a refusal is not."""
    for _ in range(2):
        with pytest.raises(ValidationException):
            parsed("{")
