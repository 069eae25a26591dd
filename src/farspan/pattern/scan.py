"""Read pattern text token by token and know where the reader stands.

EventBridge reports a faulty pattern with the place its streaming parser (Jackson) had reached, so
this scanner consumes exactly as much as that parser does at each token: a field name also consumes
the colon and the head of its value; a number or literal is consumed whole; a string only up to its
opening quote, until somebody asks for its text. It must never know what a pattern means.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final, NamedTuple

#: AWS documents no limit; this one keeps the recursive parser far from Python's own.
NESTING_LEVELS_MAX: Final = 100
#: The reason for refusing what is nested deeper, by braces or by the dots of a name.
TOO_DEEP: Final = f"Event pattern is nested more than {NESTING_LEVELS_MAX} levels deep"
#: Jackson quotes at most this much of its source, counted in UTF-16 units.
SOURCE_CHARACTERS_MAX: Final = 500

_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_TOKEN_REST: Final = re.compile(r"[\w$]{0,255}")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_PLAIN_TEXT: Final = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPES: Final = {
    '"': '"',
    "\\": "\\",
    "/": "/",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
}
_DIGITS: Final = frozenset("0123456789")
_HEX_DIGITS: Final = frozenset("0123456789abcdefABCDEF")
_CLOSER: Final = {"Object": "}", "Array": "]"}
_VALID_VALUES: Final = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
#: Where the parser says that the text as a whole begins: before its first column.
_ROOT: Final = -1
_FIRST_PRINTABLE: Final = 0x20
_LAST_LATIN_1: Final = 0xFF
#: Half of a character beyond the 16-bit ones.
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


class Token(Enum):
    """What the scanner stands on."""

    OBJECT_START = auto()  # {
    OBJECT_END = auto()  # }
    ARRAY_START = auto()  # [
    ARRAY_END = auto()  # ]
    NAME = auto()  # a field name, colon included
    STRING = auto()  # a string value
    NUMBER = auto()  # a number, kept as text
    TRUE = auto()  # true
    FALSE = auto()  # false
    NULL = auto()  # null
    END = auto()  # nothing is left


_PUNCTUATION: Final = {
    "{": Token.OBJECT_START,
    "}": Token.OBJECT_END,
    "[": Token.ARRAY_START,
    "]": Token.ARRAY_END,
}
_LITERALS: Final = {
    "t": ("true", Token.TRUE),
    "f": ("false", Token.FALSE),
    "n": ("null", Token.NULL),
}


class _Head(NamedTuple):
    """A token as far as it has been consumed."""

    token: Token
    word: str
    unread: bool = False  # a string of which only the opening quote is consumed


class PatternRefused(Exception):
    """The pattern is not valid; `reason` is AWS's text, with the location lines it carries."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Scanner:
    """A cursor over JSON text that yields tokens and reports positions as Jackson does.

    Every method may raise `PatternRefused` for text that is not JSON.
    """

    __slots__ = ("_expect_comma", "_head", "_open", "_pending", "_position", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._open: list[tuple[str, int]] = []  # kind and start of each object or array around us
        self._expect_comma = False
        self._head = _Head(Token.END, "")
        self._pending: _Head | None = None  # the value whose head a field name has consumed

    @property
    def position(self) -> int:
        """How much of the text has been consumed."""
        return self._position

    def location(self) -> str:
        """Return the current place as the line that AWS appends to a reason."""
        return f"\n at {self._source(self._position)}"

    def refusal(self, reason: str) -> PatternRefused:
        """Return the error to raise for `reason` at the current place."""
        return PatternRefused(reason + self.location())

    def text_of_token(self) -> str:
        """Return the current token's text: unescaped for strings and names, as written otherwise.

        Reading a string's text moves the reported place behind its closing quote.
        """
        if self._head.unread:
            word = self._read_text(
                "string value", ": was expecting closing quote for a string value"
            )
            self._head = _Head(Token.STRING, word)
        return self._head.word

    def next_token(self) -> Token:
        """Move to the next token and return it; `Token.END` once nothing is left."""
        if self._pending is not None:
            self._head, self._pending = self._pending, None
        else:
            self.text_of_token()
            self._head = self._advance()
        return self._head.token

    # --- structure -----------------------------------------------------------------------

    def _advance(self) -> _Head:
        self._skip_space()
        if self._position >= len(self._text):
            return self._end_of_text()
        if self._text[self._position] in "]}":
            return self._close()
        if self._expect_comma:
            self._read_comma()
        if self._open and self._open[-1][0] == "Object":
            return self._read_name()
        return self._read_value()

    def _end_of_text(self) -> _Head:
        if self._open:
            kind, start = self._open[-1]
            raise self.refusal(
                f"Unexpected end-of-input: expected close marker for {kind} "
                f"(start marker at {self._source(start)})"
            )
        return _Head(Token.END, "")

    def _close(self) -> _Head:
        character = self._take()
        if self._open:
            kind, start = self._open.pop()
            expected = _CLOSER[kind]
        else:
            kind, start = "root", _ROOT
            expected = "]" if character == "}" else "}"
        if kind == "root" or character != expected:
            raise self.refusal(
                f"Unexpected close marker '{character}': expected '{expected}' "
                f"(for {kind} starting at {self._source(start)})"
            )
        self._expect_comma = bool(self._open)
        return _Head(_PUNCTUATION[character], character)

    def _read_comma(self) -> None:
        kind = self._open[-1][0]
        character = self._take()
        if character != ",":
            raise self._bad_character(
                character, f": was expecting comma to separate {kind} entries"
            )
        self._expect_comma = False
        self._require_more(kind)

    def _read_name(self) -> _Head:
        character = self._take()
        if character != '"':
            raise self._bad_character(character, ": was expecting double-quote to start field name")
        name = self._read_text("name", " in field name")
        self._require_more("Object")
        character = self._take()
        if character != ":":
            raise self._bad_character(
                character, ": was expecting a colon to separate field name and value"
            )
        self._require_more("Object")
        self._pending = self._read_value()
        return _Head(Token.NAME, name)

    def _read_value(self) -> _Head:
        character = self._take()
        self._expect_comma = bool(self._open)
        if character == '"':
            return _Head(Token.STRING, "", unread=True)
        if character in "{[":
            return self._open_scope(character)
        if character in _LITERALS:
            return self._read_literal(*_LITERALS[character])
        if character == "-" or character in _DIGITS:
            return self._read_number()
        if character.isalpha() or character in "_$":
            raise self._bad_word(character)
        raise self._bad_character(character, f": expected a valid value {_VALID_VALUES}")

    def _open_scope(self, character: str) -> _Head:
        kind = "Object" if character == "{" else "Array"
        self._open.append((kind, self._position - 1))
        if len(self._open) > NESTING_LEVELS_MAX:
            raise self.refusal(TOO_DEEP)
        self._expect_comma = False
        return _Head(_PUNCTUATION[character], character)

    # --- scalars -------------------------------------------------------------------------

    def _read_literal(self, literal: str, token: Token) -> _Head:
        matched = 1
        while matched < len(literal) and self._text.startswith(literal[matched], self._position):
            self._position += 1
            matched += 1
        if matched < len(literal) or self._span(_TOKEN_REST):
            raise self._bad_word(literal[:matched])
        return _Head(token, literal)

    def _read_number(self) -> _Head:
        start = self._position - 1
        number = _NUMBER.match(self._text, start)
        if number is None:
            raise self._bad_digits(
                "expected digit (0-9) to follow minus sign, for valid numeric value"
            )
        self._position = number.end()
        rest = self._text[self._position : self._position + 1]
        if number[0].lstrip("-") == "0" and rest and rest in _DIGITS:
            raise self.refusal("Invalid numeric value: Leading zeroes not allowed")
        if rest == ".":
            self._position += 1
            raise self._bad_digits("Decimal point not followed by a digit")
        if rest and rest in "eE":
            self._position += 1
            if self._text[self._position : self._position + 1] in {"+", "-"}:
                self._position += 1
            raise self._bad_digits("Exponent indicator not followed by a digit")
        return _Head(Token.NUMBER, number[0])

    def _read_text(self, what: str, missing: str) -> str:
        """Consume a string up to and with its closing quote, the opening one being consumed."""
        parts: list[str] = []
        while True:
            plain = self._span(_PLAIN_TEXT)
            parts.append(plain)
            self._position += len(plain)
            if self._position >= len(self._text):
                raise self.refusal(f"Unexpected end-of-input{missing}")
            character = self._take()
            if character == '"':
                return _join_surrogates("".join(parts))
            if character != "\\":
                raise self.refusal(
                    f"Illegal unquoted character ({_describe(character)}): has to be escaped "
                    f"using backslash to be included in {what}"
                )
            parts.append(self._read_escape())

    def _read_escape(self) -> str:
        if self._position >= len(self._text):
            raise self.refusal("Unexpected end-of-input in character escape sequence")
        character = self._take()
        if character == "u":
            return self._read_code_unit()
        if character not in _ESCAPES:
            raise self.refusal(f"Unrecognized character escape {_describe(character)}")
        return _ESCAPES[character]

    def _read_code_unit(self) -> str:
        for _ in range(4):
            if self._position >= len(self._text):
                raise self.refusal("Unexpected end-of-input in character escape sequence")
            character = self._take()
            if character not in _HEX_DIGITS:
                raise self._bad_character(
                    character, ": expected a hex-digit for character escape sequence"
                )
        return chr(int(self._text[self._position - 4 : self._position], 16))

    # --- characters and places -----------------------------------------------------------

    def _take(self) -> str:
        self._position += 1
        return self._text[self._position - 1]

    def _span(self, expression: re.Pattern[str]) -> str:
        found = expression.match(self._text, self._position)
        return found[0] if found else ""

    def _skip_space(self) -> None:
        following = self._text[self._position : self._position + 1]
        if following > " ":
            return
        self._position += len(self._span(_SPACE))
        following = self._text[self._position : self._position + 1]
        if following and ord(following) < _FIRST_PRINTABLE:
            self._position += 1
            raise self.refusal(
                f"Illegal character ({_describe(following)}): "
                "only regular white space (\\r, \\n, \\t) is allowed between tokens"
            )

    def _require_more(self, kind: str) -> None:
        self._skip_space()
        if self._position >= len(self._text):
            raise self.refusal(f"Unexpected end-of-input within/between {kind} entries")

    def _bad_word(self, matched: str) -> PatternRefused:
        rest = self._span(_TOKEN_REST)
        self._position += len(rest)
        return self.refusal(f"Unrecognized token '{matched}{rest}': was expecting {_VALID_VALUES}")

    def _bad_digits(self, comment: str) -> PatternRefused:
        if self._position >= len(self._text):
            return self.refusal("Unexpected end-of-input in numeric value")
        return self._bad_character(self._take(), f" in numeric value: {comment}")

    def _bad_character(self, character: str, comment: str) -> PatternRefused:
        return self.refusal(f"Unexpected character ({_describe(character)}){comment}")

    def _source(self, position: int) -> str:
        before = self._text[: max(position, 0)].replace("\r\n", "\n").replace("\r", "\n")
        line = before.count("\n") + 1
        column = _utf16_units(before[before.rfind("\n") + 1 :]) + 1 if position != _ROOT else 0
        return f"[Source: (String){_quote_source(self._text)}; line: {line}, column: {column}]"


def _describe(character: str) -> str:
    code = ord(character)
    if code < _FIRST_PRINTABLE:
        return f"(CTRL-CHAR, code {code})"
    if code > _LAST_LATIN_1:
        return f"'{character}' (code {code} / 0x{code:x})"
    return f"'{character}' (code {code})"


def _join_surrogates(text: str) -> str:
    r"""Turn the two halves that `\ud83d\ude00` spells into the one character they mean."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _utf16_units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _quote_source(text: str) -> str:
    units = text.encode("utf-16-le", "surrogatepass")
    surplus = len(units) // 2 - SOURCE_CHARACTERS_MAX
    if surplus <= 0:
        return f'"{text}"'
    shown = units[: SOURCE_CHARACTERS_MAX * 2].decode("utf-16-le", "replace")
    return f'"{shown}"[truncated {surplus} chars]'
