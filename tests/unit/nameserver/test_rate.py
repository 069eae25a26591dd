"""How many answers a network gets over UDP."""

from __future__ import annotations

import pytest

from farspan.nameserver import rate
from farspan.nameserver.rate import BURST_SECONDS, RateLimit, Verdict, network_of


def verdicts(limit: RateLimit, address: str, count: int, now: float = 0.0) -> list[Verdict]:
    """Return what becomes of several questions at one time."""
    return [limit.judge(address, now) for _ in range(count)]


def test_a_burst_is_answered_and_then_the_rate() -> None:
    """Two seconds' worth at once, then what flows back."""
    limit = RateLimit(10.0)
    burst = int(10 * BURST_SECONDS)

    assert verdicts(limit, "192.0.2.1", burst) == [Verdict.ANSWER] * burst
    assert Verdict.ANSWER not in verdicts(limit, "192.0.2.1", 5)
    later = verdicts(limit, "192.0.2.1", 11, now=1.0)
    assert later.count(Verdict.ANSWER) == 10


def test_beyond_the_limit_every_second_is_asked_again_over_tcp() -> None:
    """An honest client behind a busy network gets through; a forged address gains nothing."""
    limit = RateLimit(1.0)
    verdicts(limit, "192.0.2.1", 2)

    expected = [Verdict.DROP, Verdict.TRUNCATE] * 3
    assert verdicts(limit, "192.0.2.1", 6) == expected


def test_networks_do_not_share_a_limit() -> None:
    """A flood from one costs another nothing."""
    limit = RateLimit(1.0)
    verdicts(limit, "192.0.2.1", 100)

    assert limit.judge("198.51.100.1", 0.0) is Verdict.ANSWER
    assert limit.judge("192.0.2.77", 0.0) is not Verdict.ANSWER


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2345::1", "2001:db8:1:2300::/56"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("fe80::1%eth0", "fe80::/56"),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
    ],
)
def test_addresses_are_counted_by_network(address: str, network: str | None) -> None:
    """/24 and /56, and loopback not at all: nobody can forge it from outside."""
    assert network_of(address) == network


def test_loopback_is_not_limited() -> None:
    """A test suite on this machine may ask as often as it likes."""
    limit = RateLimit(1.0)

    assert set(verdicts(limit, "127.0.0.1", 1_000)) == {Verdict.ANSWER}


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network that has been silent longest is forgotten."""
    monkeypatch.setattr(rate, "BUCKETS_MAX", 3)
    limit = RateLimit(1.0)
    verdicts(limit, "192.0.2.1", 10)
    for third in range(3):
        limit.judge(f"10.0.{third}.1", 0.0)

    assert len(limit._buckets) == 3
    assert limit.judge("192.0.2.1", 0.0) is Verdict.ANSWER
