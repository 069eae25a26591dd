"""The event-pattern language read naively, with nothing of `farspan.pattern`: its specification."""

from __future__ import annotations

import ipaddress
import json
import operator
import re
from decimal import Decimal
from typing import Any

SIGNS = {"=": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def matches(pattern: str, event: str) -> bool:
    """Tell whether `event` meets one of the rules of `pattern`, which is taken for valid."""
    wanted = json.loads(pattern, parse_int=number, parse_float=number, object_pairs_hook=tuple)
    leaves = [*flatten((), json.loads(event, parse_int=number, parse_float=number), {})]
    return any(meets(sorted(rule.items()), leaves, {}) for rule in expand([{}], wanted, ()))


def number(text: str) -> float | bytes:
    """Return the double that is exactly this number (-0 is 0); else the text, in bytes."""
    return double + 0 if Decimal(repr(double := float(text))) == Decimal(text) else text.encode()


def flatten(steps: tuple[str, ...], value: Any, place: dict[int, int]) -> Any:
    """Yield path, value and place of each leaf: the index of the element it is in, by array."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from flatten((*steps, name), below, place)
    elif isinstance(value, list):
        for index, below in enumerate(value):  # a scalar is not in an element, but at the array
            inside = {**place, id(value): index} if isinstance(below, dict | list) else place
            yield from flatten(steps, below, inside)
    else:
        yield ".".join(steps), value, place


def expand(rules: Any, pattern: Any, steps: tuple[str, ...]) -> Any:
    """Return the rules that `$or` makes of each rule, by path: the last word on a path counts."""
    for name, below in pattern:
        if name == "$or" and all(isinstance(one, tuple) for one in below):
            rules = [rule for branch in below for rule in expand(rules, branch, steps)]
        elif isinstance(below, tuple):
            rules = expand(rules, below, (*steps, name))
        else:
            rules = [{**rule, ".".join((*steps, name)): below} for rule in rules]
    return rules


def meets(rule: Any, leaves: Any, taken: dict[int, int]) -> bool:
    """Meet each path in order, by a leaf that is in no other element of an array taken before."""
    if not rule:
        return True
    (path, asked), *rest = rule
    here = [(val, at) for name, val, at in leaves if name == path and at | taken == taken | at]
    if not here and (("exists", False),) in asked:
        return meets(rest, leaves, taken)
    return any(meets(rest, leaves, taken | at) for v, at in here if any(holds(w, v) for w in asked))


def holds(wanted: Any, value: Any) -> bool:
    """Tell whether a leaf's value is the scalar, or passes the operator, that a pattern lists."""
    if not isinstance(wanted, tuple):  # an IP address is the same however it is spelt
        return repr(wanted) == repr(value) or None is not address(wanted) == address(value)
    ((name, operand),) = wanted
    if name in {"exists", ""}:  # `true`, `1` and `"1"` are three scalars
        return operand if name else repr(operand) == repr(value)
    if name == "anything-but":  # of whatever type, so long as it is none of these
        ((name, listed),) = operand if isinstance(operand, tuple) else (("", operand),)
        each = listed if isinstance(listed, list) else [listed]
        return not any(holds(((name, one),), value) for one in each)
    if name == "numeric":  # what no double holds is in no range
        pairs = zip(operand[::2], operand[1::2], strict=True)
        return isinstance(value, float) and all(SIGNS[sign](value, bound) for sign, bound in pairs)
    if name == "cidr":  # all of IPv6 takes in all of IPv4
        found, block = address(value), ipaddress.ip_network(operand, strict=False)
        return found is not None and (found in block or operand == "::/0")
    return isinstance(value, str) and re.search(form(name, operand), f'"{value}"') is not None


def address(value: Any) -> Any:
    """Return the IP address that a value spells, leading zeros or not; None if it spells none."""
    four = re.fullmatch(r"\.".join([r"(?!\d{4})0*(\d+)"] * 4), str(value), re.ASCII)
    try:
        return ipaddress.ip_address(".".join(four.groups()) if four else re.sub("[.%]", "x", value))
    except (ValueError, TypeError):
        return None


def form(name: str, operand: Any) -> str:
    """Return the expression for a text in its quotes, which a prefix or suffix may reach."""
    if name == "wildcard":
        body = re.sub(r"(?s)(\*)|\\?(.)", lambda m: re.escape(m[2]) if m[2] else "(?s:.*)", operand)
    elif name == "equals-ignore-case":  # each character, or another case of it
        body = "".join(f"({'|'.join(map(re.escape, {c, c.upper(), c.lower()}))})" for c in operand)
    else:
        body = form(*operand[0])[3:-3] if isinstance(operand, tuple) else re.escape(operand)
    return ("" if name == "suffix" else r'\A"') + body + ("" if name == "prefix" else r'"\Z')
