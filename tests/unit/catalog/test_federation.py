"""Which offered catalogs a node takes over: a table, and what may never happen."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.catalog.federation import OwnedCatalog, merge
from farspan.model.endpoint import Endpoint
from farspan.model.role import Role

HERE, THERE, THIRD = "us-east-1", "eu-central-1", "ap-south-1"


def endpoint(primary: str = THERE, secondary: str = HERE) -> Endpoint:
    """Return an endpoint of two Regions."""
    return Endpoint(
        account="000000000000",
        name="shop",
        endpoint_id="abcde12345.veo",
        event_bus_name="orders",
        primary_region=primary,
        secondary_region=secondary,
        health_check_id="h",
    )


def role(region: str = THERE) -> Role:
    """Return a role of a Region."""
    return Role(region=region, account="000000000000", name="r", role_id="AROA", trust_policy="{}")


def catalog(
    version: int, *endpoints: Endpoint, region: str = THERE, roles: tuple[Role, ...] = ()
) -> OwnedCatalog:
    """Return a Region's catalog."""
    return OwnedCatalog(region=region, version=version, endpoints=endpoints, roles=roles)


@dataclass(frozen=True)
class Case:
    """An offer for a node that knows version 5 of the offered Region, and what becomes of it."""

    offer: OwnedCatalog
    taken: bool
    refusal: str | None = None
    from_region: str | None = THERE


CASES = {
    "newer": Case(catalog(6, endpoint()), taken=True),
    "much newer, relayed": Case(catalog(99), taken=True, from_region=THIRD),
    "newer and without endpoints": Case(catalog(6), taken=True),
    "the same": Case(catalog(5, endpoint()), taken=False),
    "older, by its owner": Case(catalog(4), taken=False, refusal="version 4 is older than 5"),
    "older, relayed": Case(catalog(4), taken=False, from_region=THIRD),
    "older, from the copy on disk": Case(catalog(4), taken=False, from_region=None),
    "of one's own Region": Case(catalog(99, region=HERE), taken=False),
    "of a Region not known yet": Case(catalog(1, region=THIRD), taken=True),
    "with no primary": Case(catalog(6, endpoint("")), taken=False, refusal="empty target set"),
    "with no secondary": Case(
        catalog(6, endpoint(), endpoint(THERE, "")), taken=False, refusal="empty target set"
    ),
    "with a role": Case(catalog(6, roles=(role(),)), taken=True),
    "with another Region's role": Case(
        catalog(6, roles=(role(), role(HERE))), taken=False, refusal="role r belongs to us-east-1"
    ),
    "with another Region's endpoint": Case(
        catalog(6, endpoint(THIRD)), taken=False, refusal="belongs to ap-south-1"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_g7_an_offer_is_taken_or_left(case: Case) -> None:
    """A newer, sound catalog of another Region is taken whole; all else changes nothing (G7)."""
    known = {THERE: catalog(5), HERE: catalog(1, region=HERE)}

    merged = merge(known, [case.offer], own_region=HERE, offering_region=case.from_region)

    assert merged.changed is case.taken
    assert merged.catalogs == (known | {case.offer.region: case.offer} if case.taken else known)
    assert len(merged.refusals) == (case.refusal is not None)
    assert case.refusal is None or case.refusal in merged.refusals[0]
    assert known == {THERE: catalog(5), HERE: catalog(1, region=HERE)}


def test_a_bad_catalog_does_not_keep_a_good_one_back() -> None:
    """Each offered catalog is judged for itself."""
    merged = merge({}, [catalog(6, endpoint("")), catalog(2, region=THIRD)], own_region=HERE)

    assert list(merged.catalogs) == [THIRD]
    assert len(merged.refusals) == 1


@given(st.lists(st.integers(1, 9), max_size=20))
def test_g7_a_version_never_falls(versions: list[int]) -> None:
    """Whatever is offered in whatever order, the version that is known only grows (G7)."""
    known: dict[str, OwnedCatalog] = {}
    seen = [0]
    for version in versions:
        known = merge(known, [catalog(version)], own_region=HERE).catalogs
        seen.append(known[THERE].version)

    assert seen == sorted(seen)
    assert seen[-1] == max(versions, default=0)


def test_an_edge_takes_every_region() -> None:
    """A node without a Region has no catalog of its own to pass over."""
    merged = merge({}, [catalog(1), catalog(1, region=HERE)], own_region=None)

    assert set(merged.catalogs) == {HERE, THERE}
