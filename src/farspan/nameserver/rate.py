"""How many answers a network is sent over UDP, where nobody has proven where a question came from.

One bucket of tokens for each /24 of IPv4 and /56 of IPv6. When it is empty, every second question
gets the answer to ask again over TCP, which an honest client does and a forged address cannot; the
rest get nothing. Loopback addresses have no bucket: nobody can forge them from outside. Pure: the
time comes as an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network

PREFIX_LENGTH = {4: 24, 6: 56}
BURST_SECONDS = 2.0
"""How many seconds' worth of answers a bucket holds."""

BUCKETS_MAX = 10_000
"""How many networks are kept in mind; the one that has been silent longest is forgotten."""

SLIP = 2
"""Of so many questions beyond the limit one is answered."""


class Verdict(Enum):
    """What becomes of a question."""

    ANSWER = "answer it"
    TRUNCATE = "say to ask again over TCP"
    DROP = "say nothing"


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    refusal_count: int = 0


class RateLimit:
    """The buckets of all networks. `now` is by a clock that never goes back."""

    def __init__(self, answers_per_second: float) -> None:
        self._rate = answers_per_second
        self._full = answers_per_second * BURST_SECONDS
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def judge(self, address: str, now: float) -> Verdict:
        """Say what becomes of a question from an address, and count it."""
        network = network_of(address)
        if network is None:
            return Verdict.ANSWER
        bucket = self._buckets.get(network)
        if bucket is None:
            bucket = self._buckets[network] = _Bucket(self._full, now)
            if len(self._buckets) > BUCKETS_MAX:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(network)
        bucket.tokens = min(self._full, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens >= 1.0:
            bucket.tokens -= 1.0
            return Verdict.ANSWER
        bucket.refusal_count += 1
        return Verdict.DROP if bucket.refusal_count % SLIP else Verdict.TRUNCATE


@lru_cache(maxsize=4_096)
def network_of(address: str) -> str | None:
    """Return the network that an address is counted with, None for a loopback address."""
    parsed = ip_address(address.partition("%")[0])
    if not isinstance(parsed, IPv4Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.is_loopback:
        return None
    return str(ip_network((parsed, PREFIX_LENGTH[parsed.version]), strict=False))
