"""Patterns and events at random, made for each other: about as many match as just fail to.

Texts, not values, so that numbers, escapes and keys come in every spelling. An event is drawn from
few names and few scalars; a pattern is aimed at a field that an event has, and mostly at its value.
Everything follows from one `random.Random`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

Json = Any
Names = tuple[str, ...]

NAMES = ("a", "b", "c", "a.b", "b.c", "é")
TEXTS = (
    *("", "x", "y", "xy", "yx", "xyx", "XY", "Yx", "x*y", "x\\y", 'x"', '"x', "x\n", "1", "300"),
    *("true", "null", "é", "É", "😀x", "a.b"),
    # Where the cases of a letter are no pair: sharp s, Kelvin, sigmas, dotted i, digraphs.
    *(
        "ß",
        "ẞ",
        "SS",
        "ss",
        "sS",
        "\u212a",
        "k",
        "K",
        "ς",
        "\u03c3",
        "Σ",
        "İ",
        "i\u0307",
        "\u0131",
        "I",
    ),
    *("ŉ", "\u02bcN", "ǆ", "ǅ", "Ǆ"),
)
ADDRESSES = (
    *("10.0.0.1", "010.0.0.1", "10.0.1.1", "11.0.0.1", "10.0.0.256", "10.0.0", "0010.0.0.1"),
    *("2001:db8::1", "2001:0db8:0:0::1", "2001:DB8:0::1", "::1", "1::2::3", "::ffff:10.0.0.1"),
)
BLOCKS = (
    *("10.0.0.0/24", "10.0.0.77/24", "10.0.0.0/8", "0.0.0.0/0", "10.0.0.0/31"),
    *("2001:db8::/32", "2001:db8::/127", "::/0", "::/1"),
)
#: Numbers by value; those in the last two rows are no doubles.
NUMBERS = (
    *(("0", "-0", "0.0", "-0.0", "0e9"), ("1", "1.0", "1e0", "10E-1"), ("2", "2.0", "0.2e1")),
    *(("2.5", "25e-1"), ("-1", "-1.0"), ("300", "300.0", "3e2", "3.0E+2"), ("0.1", "1e-1")),
    *(("9007199254740992", "9007199254740992.0"), ("-9007199254740992",), ("1e301", "10e300")),
    *(("9007199254740993",), ("9007199254740993.0",), ("-9007199254740993",), ("1e400",)),
    *(("1E400",), ("1e-400",), ("0.1000000000000000000001",), ("123456789012345678",)),
)
DOUBLES = NUMBERS[:10]


@dataclass(slots=True)
class Pattern:
    """A pattern as text, and the names of the operators in it."""

    text: str
    operators: set[str]


@dataclass(slots=True)
class Source:
    """Draws patterns and events."""

    random: Random
    operators: set[str] = field(default_factory=set)

    # --- events: dicts, lists and the JSON texts of scalars -------------------------------

    def event(self) -> dict[str, Json]:
        """Draw an event."""
        return self._object(3)

    def variant(self, value: Json) -> Json:
        """Draw something like `value`: a leaf changed, a field gone, an array made or emptied."""
        draw = self.random.random()
        if isinstance(value, dict):
            kept = {name: below for name, below in value.items() if self.random.random() > 0.06}
            changed = {name: self.variant(below) for name, below in kept.items()}
            return changed if draw > 0.05 else {**changed, self._name(): self._value(1)}
        if isinstance(value, list):
            changed = [self.variant(below) for below in value if self.random.random() > 0.1]
            self.random.shuffle(changed)
            return changed
        if draw < 0.1:
            return [value, self._value(1)]
        return value if draw < 0.8 else self._scalar()

    def render(self, value: Json) -> str:
        """Return the JSON text of an event."""
        if isinstance(value, dict):
            fields = (f"{self._quote(name)}: {self.render(v)}" for name, v in value.items())
            return "{" + ", ".join(fields) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(self.render, value)) + "]"
        return str(value)

    def _object(self, depth: int) -> dict[str, Json]:
        return {self._name(): self._value(depth - 1) for _ in range(self.random.randint(1, 3))}

    def _value(self, depth: int) -> Json:
        draw = self.random.random()
        if depth <= 0 or draw < 0.35:
            return self._scalar()
        if draw < 0.65:
            return self._object(depth)
        if draw < 0.7:
            return self.random.choice([[], {}, [[]], [{}], [[], {}]])
        if draw < 0.8:
            return [self._value(depth - 1) for _ in range(self.random.randint(1, 3))]
        # Elements alike, so that fields of two elements can be taken for those of one.
        element = self._object(depth - 1)
        return [self.variant(element) for _ in range(self.random.randint(2, 3))]

    def _scalar(self) -> str:
        draw = self.random.random()
        if draw < 0.45:
            return self._quote(self.random.choice(TEXTS))
        if draw < 0.6:
            return self._quote(self.random.choice(ADDRESSES))
        if draw < 0.85:
            return self.random.choice(self.random.choice(NUMBERS))
        return self.random.choice(["null", "true", "false", '""'])

    def _name(self) -> str:
        return self.random.choice(NAMES)

    def _quote(self, text: str) -> str:
        return json.dumps(text, ensure_ascii=self.random.random() < 0.3)

    # --- patterns -------------------------------------------------------------------------

    def pattern(self, event: Json) -> Pattern:
        """Draw a pattern that `event` has some chance to match."""
        self.operators = set()
        leaves = list(_leaves((), event))
        text = "{" + ", ".join(self._clauses(leaves, (), 2)) + "}"
        return Pattern(text, self.operators)

    def _clauses(self, leaves: list[tuple[Names, str]], above: Names, depth: int) -> list[str]:
        """Draw the members of an object that stands at the path `above`."""
        clauses = [self._clause(leaves, above) for _ in range(self.random.choice([1, 1, 1, 2, 3]))]
        if depth and self.random.random() < 0.2:
            self.operators.add("$or")
            branches = [
                "{" + ", ".join(self._clauses(leaves, above, depth - 1)) + "}"
                for _ in range(self.random.randint(2, 3))
            ]
            clauses.insert(self.random.randint(0, len(clauses)), f'"$or": [{", ".join(branches)}]')
            if len(clauses) > 2 or self.random.random() < 0.5:
                clauses = [clause for clause in clauses if clause.startswith('"$or"')] + clauses[:1]
        if depth and self.random.random() < 0.1:
            first = {path[len(above)] for path, _ in leaves if path[: len(above)] == above != path}
            if first:
                name = self.random.choice(sorted(first))
                below = self._clauses(leaves, (*above, name), depth - 1)
                clauses.append(f"{self._quote(name)}: {{{', '.join(below)}}}")
        return clauses

    def _clause(self, leaves: list[tuple[Names, str]], above: Names) -> str:
        near = [leaf for leaf in leaves if leaf[0][: len(above)] == above != leaf[0]]
        if near and self.random.random() < 0.93:
            path, value = self.random.choice(near)
        else:
            path, value = (*above, self._name()), self._scalar()
        steps = ".".join(path[len(above) :]).split(".")
        if self.random.random() < 0.04:
            steps = steps[:-1] or [*steps, self._name()]
        keys = [steps[0]]
        for step in steps[1:]:
            if self.random.random() < 0.25:
                keys[-1] += f".{step}"
                self.operators.add("dotted key")
            else:
                keys.append(step)
        opening = "".join(f"{self._quote(key)}: {{" for key in keys[:-1])
        return f"{opening}{self._quote(keys[-1])}: {self._listed(value)}" + "}" * (len(keys) - 1)

    def _listed(self, value: str) -> str:
        aims = [value if self.random.random() < 0.7 else self._scalar()]
        if self.random.random() < 0.3:
            aims.append(self._scalar())
        listed = [self._alternative(aim) for aim in aims]
        self.random.shuffle(listed)
        return f"[{', '.join(listed)}]"

    def _alternative(self, aim: str) -> str:
        """Draw one member of a field's array, which the scalar `aim` often meets."""
        kind = self.random.choice(["=", "=", "operator", "operator", "operator", "but", "exists"])
        text = json.loads(aim) if aim.startswith('"') else None
        if kind == "exists":
            return self._operator("exists", self.random.choice(["true", "false", "false"]))
        if kind == "but":
            return self._anything_but(self._scalar() if self.random.random() < 0.6 else aim)
        if kind == "operator" and text is None and aim[0] in "-0123456789":
            return self._operator("numeric", self._bounds(aim))
        if kind == "operator" and text is not None:
            return self._text_operator(text)
        return self._respelt(aim)

    def _text_operator(self, text: str) -> str:
        if text in ADDRESSES and self.random.random() < 0.7:
            return self._operator("cidr", self._quote(self.random.choice(BLOCKS)))
        name = self.random.choice(
            ["prefix", "suffix", "equals-ignore-case", "wildcard", "exactly", "prefix", "suffix"]
        )
        if name == "exactly" and text in ADDRESSES:
            name = "equals-ignore-case"
        if name in {"prefix", "suffix"} and self.random.random() < 0.5:
            folded = self._quote(self._cased(self._cut(name, text)))
            return self._operator(f"{name} folded", f'{{"equals-ignore-case": {folded}}}')
        return self._operator(name, self._quote(self._operand(name, text)))

    def _operand(self, name: str, text: str) -> str:
        if name in {"prefix", "suffix"}:
            return self._cut(name, text)
        if name == "equals-ignore-case":
            return self._cased(text)
        return self._starred(text) if name == "wildcard" else text

    def _cut(self, name: str, text: str) -> str:
        if self.random.random() < 0.1:  # as far as the quote at the other end
            return f'{text}"' if name == "prefix" else f'"{text}'
        at = self.random.randint(0, len(text))
        return text[:at] if name == "prefix" else text[at:]

    def _cased(self, text: str) -> str:
        return self.random.choice([text, text.upper(), text.lower(), text.swapcase()])

    def _starred(self, text: str) -> str:
        start, end = self.random.randint(0, len(text)), self.random.randint(0, len(text))
        if self.random.random() < 0.7:  # otherwise the ends may overlap: `xy*yx` and `xyx`
            start, end = sorted((start, end))
        parts = [text[:start][:3], text[end:][-3:]]
        between = text[start:end][:2]
        if between and self.random.random() < 0.3:
            parts.insert(1, between)
        return "*".join(part.replace("\\", "\\\\").replace("*", "\\*") for part in parts)

    def _anything_but(self, aim: str) -> str:
        if not aim.startswith('"'):
            number = aim if aim[0] in "-0123456789" else "1"
            more = self.random.choice([[], [self.random.choice(self.random.choice(NUMBERS))]])
            listed = [self._respelt(number), *more]
            operand = f"[{', '.join(listed)}]" if more or self.random.random() < 0.5 else listed[0]
            return self._operator("anything-but number", operand, "anything-but")
        texts = [json.loads(aim), *self.random.choice([[], [self.random.choice(TEXTS)]])]
        name = self.random.choice(["", "prefix", "suffix", "equals-ignore-case", "wildcard"])
        operands = [self._quote(self._operand(name, text)) for text in texts]
        if name in {"prefix", "suffix"}:
            operands = [operand if operand != '""' else '"x"' for operand in operands]
        listed = f"[{', '.join(operands)}]"
        operand = listed if len(operands) > 1 or self.random.random() < 0.5 else operands[0]
        if name:
            operand = f'{{"{name}": {operand}}}'
        return self._operator(f"anything-but {name or 'text'}", operand, "anything-but")

    def _bounds(self, aim: str) -> str:
        one, other = sorted(
            (self.random.choice(self.random.choice(DOUBLES)) for _ in range(2)), key=float
        )
        if float(aim) == float(one) or float(one) == float(other):
            sign = self.random.choice(["=", "<", "<=", ">", ">="])
            return f'["{sign}", {one}]'
        signs = self.random.choice([">", ">="]), self.random.choice(["<", "<="])
        return f'["{signs[0]}", {one}, "{signs[1]}", {other}]'

    def _respelt(self, scalar: str) -> str:
        if scalar.startswith('"'):
            self.operators.add("text")
            return self._quote(json.loads(scalar))
        spellings = next((row for row in NUMBERS if scalar in row), None)
        self.operators.add("number" if spellings else scalar)
        return self.random.choice(spellings) if spellings else scalar

    def _operator(self, shown: str, operand: str, name: str = "") -> str:
        self.operators.add(f"exists {operand}" if shown == "exists" else shown)
        return f'{{"{name or shown.split(maxsplit=1)[0]}": {operand}}}'


def _leaves(path: Names, value: Json) -> list[tuple[Names, str]]:
    if isinstance(value, dict):
        return [leaf for name, below in value.items() for leaf in _leaves((*path, name), below)]
    if isinstance(value, list):
        return [leaf for below in value for leaf in _leaves(path, below)]
    return [(path, value)]
