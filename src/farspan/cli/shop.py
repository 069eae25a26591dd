"""Realistic events for the demo: a shop's orders, payments and shipments, and some noise.

Several shapes and sizes; about one in eight matches no rule. A seed gives the same events again.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator

from farspan.cli.probes import Probe

ENTRY_COUNT_MAX = 10
CURRENCIES = ("EUR", "USD", "GBP", "JPY")
CITIES = ("Lisbon", "Osaka", "Montréal", "Kraków", "São Paulo", "Nairobi")
CARRIERS = ("rail", "road", "sea", "air")


def shop_calls(event_bus_arn: str, seed: int) -> Iterator[list[Probe]]:
    """Yield the entries of one call after the other, without end."""
    events = _events(event_bus_arn, seed)
    for size in _batch_sizes(seed):
        yield [next(events) for _ in range(size)]


def _events(event_bus_arn: str, seed: int) -> Iterator[Probe]:
    """Yield events for the bus without end. The ARN form of the name is what AWS recommends."""
    rolls = random.Random(seed)  # noqa: S311 - example data
    makers = (_order, _order, _order, _payment, _payment, _payment, _shipment, _noise)
    number = 0
    while True:
        number += 1
        source, detail_type, detail, matches = rolls.choice(makers)(rolls, number)
        entry = {
            "Source": source,
            "DetailType": detail_type,
            "Detail": json.dumps(detail),
            "EventBusName": event_bus_arn,
        }
        yield Probe(entry, matches)


Made = tuple[str, str, dict[str, object], bool]


def _order(rolls: random.Random, number: int) -> Made:
    items = [
        {
            "sku": f"{rolls.choice('ABCDEF')}-{rolls.randrange(10_000):04d}",
            "quantity": rolls.randint(1, 9),
            "price": round(rolls.uniform(1, 400), 2),
            "note": "gift wrap, no invoice in the box" if rolls.random() < 0.2 else "",  # noqa: PLR2004
        }
        for _ in range(rolls.randint(1, 12))
    ]
    amount = round(sum(item["price"] for item in items if isinstance(item["price"], float)), 2)
    detail: dict[str, object] = {
        "orderId": f"o-{number:08d}",
        "customer": {"id": f"c-{rolls.randrange(50_000)}", "city": rolls.choice(CITIES)},
        "items": items,
        "amount": amount,
        "currency": rolls.choice(CURRENCIES),
    }
    return "shop.orders", "OrderPlaced", detail, True


def _payment(rolls: random.Random, number: int) -> Made:
    detail: dict[str, object] = {
        "paymentId": f"p-{number:08d}",
        "amount": rolls.randint(1, 500),
        "currency": rolls.choice(CURRENCIES),
        "card": {"scheme": "debit", "last4": f"{rolls.randrange(10_000):04d}"},
        "approved": rolls.random() < 0.97,  # noqa: PLR2004 - a usual share
    }
    return "shop.payments", "PaymentTaken", detail, True


def _shipment(rolls: random.Random, number: int) -> Made:
    detail: dict[str, object] = {
        "shipmentId": f"s-{number:08d}",
        "amount": rolls.randint(1, 40),
        "carrier": rolls.choice(CARRIERS),
        "route": [rolls.choice(CITIES) for _ in range(rolls.randint(2, 5))],
        "weightGrams": rolls.randint(100, 30_000),
    }
    return "shop.shipments", "ShipmentMoved", detail, True


def _noise(rolls: random.Random, number: int) -> Made:
    """Return what the rule does not match: another source, or an amount of nothing."""
    if rolls.random() < 0.5:  # noqa: PLR2004 - a coin
        return "ops.heartbeat", "Beat", {"number": number, "load": round(rolls.random(), 3)}, False
    return "shop.orders", "OrderEmptied", {"orderId": f"o-{number:08d}", "amount": 0}, False


def _batch_sizes(seed: int) -> Iterator[int]:
    """Yield how many entries each call has: mostly a few, sometimes the most there can be."""
    rolls = random.Random(seed)  # noqa: S311 - example data
    while True:
        yield rolls.choice((1, 2, 3, 4, 5, 5, 6, 8, ENTRY_COUNT_MAX))
