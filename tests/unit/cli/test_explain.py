"""`farspan explain`: what it takes, what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from farspan.cli import main
from farspan.cli.explain import caret
from farspan.cli.tree import tree_lines
from farspan.pattern import explain

PATTERN = '{"source":["shop.orders"],"detail":{"state":["paid"]}}'
PAID = '{"source":"shop.orders","detail":{"state":"paid"}}'
OPEN = '{"source":"shop.orders","detail":{"state":"Paid"}}'


def run(*words: str, stdin: str | bytes | None = None) -> Result:
    """Run the command as a shell would."""
    return CliRunner().invoke(main, ["explain", *words], input=stdin)


def test_a_match() -> None:
    """A match has exit code 0, and each field is shown."""
    result = run("--pattern", PATTERN, "--event", PAID)

    assert 0 == result.exit_code
    assert ["✓ match", '├── ✓ source: "shop.orders"', '└── ✓ detail.state: "paid"'] == (
        result.stdout.splitlines()
    )


def test_no_match() -> None:
    """No match has exit code 1; the field that fails is named first, with its hint below it."""
    result = run("--pattern", PATTERN, "--event", OPEN)
    first, _, failing, hint = result.stdout.splitlines()

    assert 1 == result.exit_code
    assert "✗ no match: 1 field fails of 2: detail.state" == first
    assert '└── ✗ detail.state: "paid", has "Paid"' == failing
    assert "equals-ignore-case" in hint


def test_files(tmp_path: Path) -> None:
    """Pattern and event may be files, also with the byte order mark that some editors write."""
    (tmp_path / "p.json").write_text(PATTERN)
    (tmp_path / "e.json").write_bytes(b"\xef\xbb\xbf" + PAID.encode())

    assert 0 == run("--pattern", f"{tmp_path}/p.json", "--event", f"{tmp_path}/e.json").exit_code


@pytest.mark.parametrize(
    "words", [("--pattern", "-", "--event", PAID), ("--pattern", PATTERN, "--event", "-")]
)
def test_standard_input(words: tuple[str, ...]) -> None:
    """A hyphen is standard input, for either of them."""
    stdin = PATTERN if words[1] == "-" else PAID

    assert 0 == run(*words, stdin=stdin).exit_code


def test_json() -> None:
    """With --json the explanation is data, and the exit code is the same."""
    result = run("--pattern", PATTERN, "--event", OPEN, "--json")

    assert 1 == result.exit_code
    assert explain(PATTERN, OPEN).as_dict() == json.loads(result.stdout)


def test_a_bad_pattern() -> None:
    """A pattern that EventBridge refuses: its words, a caret under the place, a tip; code 2."""
    result = run("--pattern", '{"source":\n["a"], "id": "b"}', "--event", PAID)
    lines = result.stderr.splitlines()

    assert 2 == result.exit_code
    assert not result.stdout
    assert 'Event pattern is not valid. Reason: "id" must be an object or an array' in lines[0]
    assert ['  ["a"], "id": "b"}', "               ^"] == lines[3:5]
    assert "tip:" in lines[5]


def test_a_refusal_without_a_place() -> None:
    """Some of EventBridge's refusals name no place, and then there is no caret."""
    result = run("--pattern", '{"ip":[{"cidr":"10.0.0.1"}]}', "--event", PAID)

    assert 2 == result.exit_code
    assert ["farspan: Event pattern is not valid. Reason: Malformed CIDR, one '/' required"] == (
        result.stderr.splitlines()
    )


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ('{"a"', "it is not JSON"),
        ("missing.json", "No such file or directory"),
        ("-", "Only one of"),
    ],
    ids=["bad-json", "missing-file", "both-from-stdin"],
)
def test_bad_words(event: str, reason: str) -> None:
    """What cannot be read is said on standard error, with exit code 2 and no stack trace."""
    result = run("--pattern", "-" if event == "-" else PATTERN, "--event", event)

    assert 2 == result.exit_code
    assert reason in result.stderr
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("content", [b"[1]", b"\xff\xfe{", b""], ids=["array", "utf-16", "empty"])
def test_bad_files(tmp_path: Path, content: bytes) -> None:
    """A file that holds no JSON object has exit code 2."""
    path = tmp_path / "event.json"
    path.write_bytes(content)
    result = run("--pattern", PATTERN, "--event", str(path))

    assert 2 == result.exit_code
    assert isinstance(result.exception, SystemExit)


def test_an_event_without_an_envelope() -> None:
    """Fields that are missing from an event make it match less, not invalid."""
    assert 0 == run("--pattern", '{"detail":{"n":[1]}}', "--event", '{"detail":{"n":1}}').exit_code


def test_alternatives() -> None:
    """The alternatives of $or hang below it, and the nearest is marked."""
    pattern = '{"$or":[{"a":[1]},{"b":[1],"c":[1]}]}'
    lines = run("--pattern", pattern, "--event", '{"a":2}').stdout.splitlines()

    assert "└── ✗ $or" == lines[1]
    assert "    ├── ✗ alternative 1 (nearest)" == lines[2]
    assert "    │   └── ✗ a: 1, has 2" == lines[3]
    assert "    └── ✗ alternative 2" == lines[4]


def test_different_elements() -> None:
    """Where only the fields together fail, the verdict's line says so."""
    pattern = '{"v":{"a":[1],"b":[2]}}'
    result = run("--pattern", pattern, "--event", '{"v":[{"a":1},{"b":2}]}')

    assert "same array" in result.stdout.splitlines()[0]


def test_long_lists_and_replaced_clauses() -> None:
    """Long lists are cut, on both sides, and a clause that does not count says why."""
    pattern = json.dumps({"a": [1, 2, 3, 4, 5, 6]})[:-1] + ', "b": [1], "b": [2]}'
    event = json.dumps({"a": [11, 12, 13, 14, 15, 16, 17], "b": 2})
    text = run("--pattern", pattern, "--event", event).stdout

    assert "1 or 2 or 3 or 4 or 2 more, has 11, 12, 13, 14, 15 and 2 more" in text
    assert "b: replaced by a later clause" in text


def test_no_colours_where_no_terminal_is() -> None:
    """What is piped has no escape sequences, although the lines are made with colours."""
    assert "\x1b[" in next(tree_lines(explain(PATTERN, PAID)))
    assert "\x1b[" not in run("--pattern", PATTERN, "--event", PAID).stdout


def test_nothing_steers_the_terminal() -> None:
    """Escape sequences in an event's values and names, and in a pattern, are shown and not sent."""
    event = {"a\x1b[2J": "\x9b31m\u202e", "b": 1}
    pattern = {"a\x1b[2J": ["\x9b"], "a\x1b[2j": ["\u202e"]}
    text = "\n".join(tree_lines(explain(json.dumps(pattern, ensure_ascii=False), event)))

    assert r"a\x1b[2J" in text
    assert all(line.isprintable() for line in click.unstyle(text).split("\n"))

    result = run("--pattern", '{"a":"\x9b\u202e"}', "--event", PAID)

    assert 2 == result.exit_code
    assert all(line.isprintable() for line in result.stderr.splitlines())


@pytest.mark.parametrize(
    ("pattern", "line", "column", "expected"),
    [
        ("abc", 1, 3, "  abc\n   ^"),
        ("a\r\nbc", 2, 2, "  bc\n  ^"),
        ("x" * 100, 1, 81, f"  {'x' * 76}\n  {' ' * 60}^"),
        ("", 1, 1, "  \n  ^"),
        ("a", 7, 1, "  \n  ^"),
    ],
    ids=["one-line", "second-line", "long-line", "empty", "behind-the-end"],
)
def test_the_caret(pattern: str, line: int, column: int, expected: str) -> None:
    """The caret stands under the last character that was read."""
    assert expected == caret(pattern, line=line, column=column)
