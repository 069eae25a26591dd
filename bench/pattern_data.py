"""Events and rules for the matcher's benchmark, made from a seed: nothing is downloaded or shipped.

A family is one shape of rules, in any number. Rule number n asks for what events of rank n hold,
and ranks are spread evenly over orders of magnitude: whatever the number of rules, some events
match, few match much. Nothing here may measure anything.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, Final

RANKS: Final = 100_000
WORDS: Final = ("north", "ledger", "harbor", "copper", "meadow", "signal", "violet", "anchor")
DETAIL_TYPES: Final = ("Order Created", "Order Paid", "Order Shipped", "Order Returned")

Json = Any
Rule = dict[str, Json]


def _rank(dice: random.Random) -> int:
    return int(RANKS ** dice.random()) - 1


def _hex(dice: random.Random, digits: int) -> str:
    return f"{dice.getrandbits(4 * digits):0{digits}x}"


def _address(rank: int, last: int) -> str:
    return f"{10 + rank // 65536}.{rank // 256 % 256}.{rank % 256}.{last}"


# ---------------------------------------------------------------- events shaped as EventBridge's


def _marks(dice: random.Random) -> Rule:
    """Return what every detail has; each field has a rank of its own."""
    label = f"batch-{_rank(dice):05d}-{dice.choice(WORDS)}"
    file = f"file-{_hex(dice, 4)}.{dice.choice(('json', 'png'))}"
    return {
        "tenant": f"t-{_rank(dice):05d}",
        "amount": _rank(dice) + dice.choice((0, 0.25, 0.5)),
        "reference": f"r{_rank(dice):05d}-{_hex(dice, 8)}",
        "mailbox": f"{dice.choice(WORDS)}@shop-{_rank(dice):05d}.example",
        "label": "".join(dice.choice((str.upper, str.lower))(letter) for letter in label),
        "path": f"{dice.choice(WORDS)}/{_hex(dice, 4)}/{_rank(dice):05d}/{file}",
        "address": _address(_rank(dice), dice.randrange(1, 255)),
        "trace": {"id": f"1-{_hex(dice, 8)}-{_hex(dice, 24)}", "sampled": True, "depth": 3},
    }


def _order(dice: random.Random) -> Rule:
    items = [
        {"sku": f"sku-{_rank(dice):05d}", "qty": dice.randrange(1, 10), "price": 3.5}
        for _ in range(dice.randrange(1, 6))
    ]
    return {
        **_marks(dice),
        "order-id": _hex(dice, 12),
        "status": dice.choice(("OPEN", "PAID", "SHIPPED")),
        "customer": {"tier": dice.choice(("gold", "silver", "basic")), "country": "NZ"},
        "items": items,
    }


def _object(dice: random.Random) -> Rule:
    return {
        **_marks(dice),
        "version": "0",
        "bucket": {"name": f"bucket-{_rank(dice):05d}"},
        "object": {
            "key": f"in/{_hex(dice, 8)}",
            "size": dice.randrange(9999),
            "etag": _hex(dice, 32),
        },
        "request-id": _hex(dice, 16),
        "requester": "123456789012",
        "reason": "PutObject",
    }


def _instance(dice: random.Random) -> Rule:
    return {
        **_marks(dice),
        "instance-id": f"i-{_hex(dice, 17)}",
        "state": dice.choice(("pending", "running", "stopped", "terminated")),
        "tags": {"team": dice.choice(WORDS), "stage": "live", "owner": None},
    }


def _call(dice: random.Random) -> Rule:
    return {
        **_marks(dice),
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::123456789012:{_hex(dice, 8)}",
        },
        "eventName": dice.choice(("RunInstances", "PutObject", "CreateUser")),
        "requestParameters": {"name": _hex(dice, 8), "dryRun": False},
        "readOnly": False,
        "responseElements": None,
    }


def _eventbridge_event(dice: random.Random) -> Rule:
    kind = dice.random()
    if kind < 0.55:
        source, detail_type, detail = f"shop.{dice.randrange(100):02d}", "", _order(dice)
        detail_type = dice.choice(DETAIL_TYPES)
    elif kind < 0.75:
        source, detail_type, detail = "aws.s3", "Object Created", _object(dice)
    elif kind < 0.9:
        source, detail_type = "aws.ec2", "EC2 Instance State-change Notification"
        detail = _instance(dice)
    else:
        source, detail_type = "aws.iam", "AWS API Call via CloudTrail"
        detail = _call(dice)
    return {
        "version": "0",
        "id": f"{_hex(dice, 8)}-{_hex(dice, 4)}-{_hex(dice, 4)}-{_hex(dice, 4)}-{_hex(dice, 12)}",
        "detail-type": detail_type,
        "source": source,
        "account": "123456789012",
        "time": "2026-01-02T03:04:05Z",
        "region": "us-east-1",
        "resources": [f"arn:aws:events:us-east-1:123456789012:thing/{_hex(dice, 8)}"],
        "detail": detail,
    }


def _flat_event(dice: random.Random) -> Rule:
    fields = {f"field{number:02d}": _hex(dice, 16) for number in range(20)}
    return fields | _marks(dice) | {"count": _rank(dice), "open": dice.random() < 0.5}


def _nested_event(dice: random.Random) -> Rule:
    below: Rule = _marks(dice)
    for level in range(6):
        below = {f"level{level}": below, "note": _hex(dice, 24), "number": dice.randrange(999)}
    return below


# ---------------------------------------------------------------- families of rules


def _sources(number: int) -> Rule:
    return {"source": [f"shop.{number % 100:02d}"], "detail-type": [DETAIL_TYPES[number % 4]]}


def _mixed(number: int) -> Rule:
    """Return one of ten kinds in turn; each has one selective field."""
    source, tenant = [f"shop.{number % 100:02d}"], [f"t-{number:05d}"]
    above, below = number % 5000, number % 5000 + 5000
    details: tuple[Rule, ...] = (
        {"tenant": tenant, "status": ["OPEN"]},
        {"tenant": [*tenant, f"t-{number + 1:05d}"], "state": ["running", "stopped"]},
        {"tenant": tenant, "amount": [{"numeric": [">=", above, "<", below]}]},
        {"reference": [{"prefix": f"r{number:05d}-"}]},
        {"mailbox": [{"suffix": f"@shop-{number:05d}.example"}]},
        {"path": [{"wildcard": f"{WORDS[number % 8]}/*/{number:05d}/*.json"}]},
        {"tenant": tenant, "status": [{"anything-but": ["OPEN", "PAID"]}]},
        {"tenant": tenant, "customer": {"tier": [{"exists": True}]}, "state": [{"exists": False}]},
        {"label": [{"equals-ignore-case": f"BATCH-{number:05d}-{WORDS[number % 8]}"}]},
        {"items": {"sku": [f"sku-{number:05d}"], "qty": [{"numeric": [">", 2]}]}},
    )
    detail = details[number % 10]
    return {"source": source, "detail": detail} if number % 10 == 0 else {"detail": detail}


def _detail(make: Callable[[int], Rule]) -> Callable[[int], Rule]:
    return lambda number: {"detail": make(number)}


def _nested_rule(number: int) -> Rule:
    rule: Rule = {"tenant": [f"t-{number:05d}"]}
    for level in range(6):
        rule = {f"level{level}": rule}
    return rule


FAMILIES: Final[dict[str, tuple[Callable[[random.Random], Rule], Callable[[int], Rule]]]] = {
    "exact": (
        _eventbridge_event,
        lambda n: _sources(n) | {"detail": {"tenant": [f"t-{n:05d}"]}},
    ),
    "mixed": (_eventbridge_event, _mixed),
    "prefix": (_eventbridge_event, _detail(lambda n: {"reference": [{"prefix": f"r{n:05d}-"}]})),
    "suffix": (
        _eventbridge_event,
        _detail(lambda n: {"mailbox": [{"suffix": f"@shop-{n:05d}.example"}]}),
    ),
    "ignore_case": (
        _eventbridge_event,
        _detail(lambda n: {"label": [{"equals-ignore-case": f"Batch-{n:05d}-{WORDS[n % 8]}"}]}),
    ),
    "wildcard": (
        _eventbridge_event,
        _detail(lambda n: {"path": [{"wildcard": f"{WORDS[n % 8]}/*/{n:05d}/*.json"}]}),
    ),
    "wildcard_lead": (
        _eventbridge_event,
        _detail(lambda n: {"path": [{"wildcard": f"*/{n:05d}/file-*.png"}]}),
    ),
    "numeric": (
        _eventbridge_event,
        _detail(lambda n: {"amount": [{"numeric": [">=", n, "<", n + 1]}]}),
    ),
    "numeric_wide": (
        _eventbridge_event,
        _detail(lambda n: {"tenant": [f"t-{n:05d}"], "amount": [{"numeric": [">", n % 1000]}]}),
    ),
    "anything_but": (
        _eventbridge_event,
        _detail(
            lambda n: {
                "tenant": [f"t-{n:05d}"],
                "status": [{"anything-but": [("OPEN", "PAID", "SHIPPED")[n % 3]]}],
            }
        ),
    ),
    "cidr": (
        _eventbridge_event,
        _detail(lambda n: {"address": [{"cidr": f"{_address(n, 0)}/24"}]}),
    ),
    "array": (
        _eventbridge_event,
        _detail(
            lambda n: {
                "items": {"sku": [f"sku-{n:05d}"], "qty": [{"numeric": [">", n % 5, "<=", 9]}]}
            }
        ),
    ),
    "source_and_type": (
        _eventbridge_event,
        lambda n: {"source": [f"shop.{n // 4:02d}"], "detail-type": [DETAIL_TYPES[n % 4]]},
    ),
    "flat": (_flat_event, lambda n: {"tenant": [f"t-{n:05d}"], "open": [True]}),
    "nested": (_nested_event, _nested_rule),
}


def family(name: str, rules: int, events: int, seed: int) -> tuple[list[Rule], list[Rule]]:
    """Return events and rules of a family."""
    make_event, make_rule = FAMILIES[name]
    dice = random.Random(seed)
    return [make_event(dice) for _ in range(events)], [make_rule(number) for number in range(rules)]


# ---------------------------------------------------------------- city lots: five rules an operator

_BEGINNINGS: Final = ("ALDER", "BIRCH", "CEDAR", "DOVE")
_ENDINGS: Final = ("GATE", "TON", "WAY", "MERE")
STREETS: Final = tuple(first + last for first in _BEGINNINGS for last in _ENDINGS)


def lot_event(dice: random.Random) -> Rule:
    """Return a parcel of land with its outline: many numbers, few of which any rule asks for."""
    block, lot = f"{dice.randrange(9000):04d}", f"{dice.randrange(200):03d}"
    count = min(900, int(8 + dice.paretovariate(1.5)))
    x, y = -122.5 + dice.random() / 5, 37.7 + dice.random() / 10
    points = [
        {"x": round(x + dice.random() / 999, 12), "y": round(y + dice.random() / 999, 12), "z": 0}
        for _ in range(count)
    ]
    number = str(dice.randrange(1, 3000))
    return {
        "type": "Feature",
        "properties": {
            "MAPBLKLOT": block + lot,
            "BLKLOT": block + lot,
            "BLOCK_NUM": block,
            "LOT_NUM": lot,
            "FROM_ST": number,
            "TO_ST": number,
            "STREET": dice.choice(STREETS),
            "ST_TYPE": dice.choice(("ST", "AVE", "BLVD", None)),
            "ODD_EVEN": dice.choice("EO"),
        },
        "geometry": {"type": "Polygon", "first": dict(points[0]), "coordinates": [points]},
    }


def _properties(**asked: list[Json]) -> Rule:
    return {"properties": dict(asked)}


def _lots_rule(operator: str, n: int) -> Rule:
    block, street = f"{700 * n + 12:04d}", STREETS[3 * n]
    split = street[:3].lower()
    x = -122.5 + n / 50
    simple: dict[str, Json] = {
        "exact": street,
        "wildcard": {"wildcard": f"{street[:2]}*{street[-2:]}"},
        "prefix": {"prefix": street[:4]},
        "prefix_ignore_case": {"prefix": {"equals-ignore-case": split}},
        "suffix": {"suffix": street[-3:]},
        "suffix_ignore_case": {"suffix": {"equals-ignore-case": street[-3:].lower()}},
        "ignore_case": {"equals-ignore-case": street.lower()},
        "anything_but": {"anything-but": [street, STREETS[n]]},
        "anything_but_ignore_case": {"anything-but": {"equals-ignore-case": [street.lower()]}},
        "anything_but_prefix": {"anything-but": {"prefix": street[:4]}},
        "anything_but_suffix": {"anything-but": {"suffix": street[-3:]}},
        "anything_but_wildcard": {"anything-but": {"wildcard": f"*{street[2:4]}*"}},
    }
    if operator == "numeric":
        first = {"x": [{"numeric": [">", x, "<=", x + 0.004]}]}
        return {"geometry": {"type": ["Polygon"], "first": first}}
    if operator == "complex_arrays":
        point = {"x": [{"numeric": [">", x, "<", x + 0.02]}], "y": [{"numeric": ["<", 37.8]}]}
        return {"geometry": {"type": ["Polygon"], "coordinates": point}}
    if operator.startswith("anything_but"):
        return _properties(STREET=[simple[operator]], ODD_EVEN=["EO"[n % 2]], ST_TYPE=["BLVD"])
    if operator == "exact":
        return _properties(STREET=[street], BLOCK_NUM=[block, f"{n:04d}"])
    return _properties(STREET=[simple[operator]])


LOTS_OPERATORS: Final = (
    "exact",
    "wildcard",
    "prefix",
    "prefix_ignore_case",
    "suffix",
    "suffix_ignore_case",
    "ignore_case",
    "numeric",
    "anything_but",
    "anything_but_ignore_case",
    "anything_but_prefix",
    "anything_but_suffix",
    "anything_but_wildcard",
    "complex_arrays",
)
LOTS_SETS: Final = (*LOTS_OPERATORS, "combo_but_arrays", "combo")


def lots(name: str, events: int, seed: int) -> tuple[list[Rule], list[Rule]]:
    """Return parcels and five rules for the operator, or for each of them."""
    operators: tuple[str, ...] = (name,)
    if name.startswith("combo"):
        operators = LOTS_OPERATORS if name == "combo" else LOTS_OPERATORS[:-1]
    dice = random.Random(seed)
    rules = [_lots_rule(operator, n) for operator in operators for n in range(5)]
    return [lot_event(dice) for _ in range(events)], rules


def lines(values: list[Rule]) -> bytes:
    """Return one compact JSON text a line, as the engines read them."""
    return b"".join(json.dumps(value, separators=(",", ":")).encode() + b"\n" for value in values)
