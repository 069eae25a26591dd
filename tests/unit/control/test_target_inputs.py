"""Which inputs PutTargets admits, and what it says of the others."""

from __future__ import annotations

from typing import Any

import pytest

from farspan.control.target_inputs import TargetInput, target_input
from farspan.errors import ValidationException
from farspan.model.rule import InputTransformer

EVENT_JSON = "aws.events.event.json"
IN_OBJECTS_ONLY = (
    f"InputTemplate for target t contains placeholder {EVENT_JSON} valid only for JSON template."
)
AS_A_KEY = "InputTemplate placeholder present as a JSON object key for target t."
ONE_OF_THEM = "Only one of Input, InputPath, or InputTransformer must be provided for target t."


def transformer(template: str, paths: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the members of a target with a transformer."""
    members: dict[str, Any] = {"InputTemplate": template}
    if paths is not None:
        members["InputPathsMap"] = paths
    return {"InputTransformer": members}


def refusal(given: dict[str, Any]) -> str:
    """Return what is said of what is not admitted."""
    with pytest.raises(ValidationException) as refused:
        target_input("t", given)
    return str(refused.value)


def fault(text: str, line: int, column: int) -> str:
    """Return the words for a template that, with nulls put in, is not JSON at a place."""
    source = f'[Source: (String)"{text}"; line: {line}, column: {column}]'
    return f"Invalid InputTemplate for target t : {source}."


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, TargetInput()),
        ({"Input": '{"a": [1, 2.50]}'}, TargetInput(input='{"a": [1, 2.50]}')),
        ({"Input": '"text"'}, TargetInput(input='"text"')),
        ({"Input": " null "}, TargetInput(input=" null ")),
        ({"Input": "1" * 5_000}, TargetInput(input="1" * 5_000)),
        ({"Input": ""}, TargetInput(input="")),
        ({"InputPath": "$"}, TargetInput(input_path="$")),
        ({"InputPath": "$.detail.list[*]"}, TargetInput(input_path="$.detail.list[*]")),
        (
            transformer('"<b> <a>"', {"b": "$.b", "a": "not a path"}),
            TargetInput(
                input_transformer=InputTransformer(
                    input_template='"<b> <a>"', input_paths=(("a", "not a path"), ("b", "$.b"))
                )
            ),
        ),
    ],
)
def test_what_is_admitted(given: dict[str, Any], said: TargetInput) -> None:
    """One of the three, or none; the paths of variables are not looked at."""
    assert said == target_input("t", given)


@pytest.mark.parametrize(
    "template",
    [
        '"<a>"',
        '{"k":<a>,"l":"<a> and <a>"}',
        '{"<":"<a>"}',
        '{"k":{"l":[<a>,"\\"<a>\\":"]}}',
        '["<a>",<a>,{"k":<a>}]',
        "<a>",
        '"one <a>"\n"two"',
        '"one <a>"\n\n  "two"\r\n',
        '[{"<a>":1}]',
        f'{{"event":<{EVENT_JSON}>}}',
        f'\n {{"event":"<{EVENT_JSON}>"}}',
        '"1 < 2, </a> and < a >"',
        "5",
    ],
)
def test_templates_that_are_admitted(template: str) -> None:
    """JSON once each variable is `null`, or strings one a line."""
    said = target_input("t", transformer(template, {"a": "$.a"}))

    assert said.input_transformer is not None
    assert template == said.input_transformer.input_template


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("hello <a>", fault("hello null", 1, 1)),
        ('{"k":<a>', fault('{"k":null', 1, 10)),
        ('{"k":<a>,\n "l":x}', fault('{"k":null,\n "l":x}', 2, 6)),
        ('"one"\n<a>', fault('"one"\nnull', 2, 1)),
        ('"one" "two"', fault('"one" "two"', 1, 7)),
        (" \n", fault(" \n", 2, 1)),
        ("NaN", fault("NaN", 1, 1)),
        ("{<a>:1}", AS_A_KEY),
        ('{"<a>":1}', AS_A_KEY),
        ('{"k":[{"x<a>" : 1}]}', AS_A_KEY),
        (f"<{EVENT_JSON}>", IN_OBJECTS_ONLY),
        (f'"<{EVENT_JSON}>"', IN_OBJECTS_ONLY),
        (f'[{{"k":<{EVENT_JSON}>}}]', IN_OBJECTS_ONLY),
        ('"<b>"', "InputTemplate for target t contains invalid placeholder b."),
        (
            '"<aws.events.unknown>"',
            "InputTemplate for target t contains invalid placeholder aws.events.unknown.",
        ),
    ],
)
def test_templates_that_are_refused(template: str, message: str) -> None:
    """In EventBridge's words, where these are known."""
    assert message == refusal(transformer(template, {"a": "$.a"}))


@pytest.mark.parametrize("template", ['"<b> <aws.events.unknown>"', '{"k":<b>}'])
def test_without_a_map_any_name_is_admitted(template: str) -> None:
    """It is text then, recorded from AWS; with a map, even an empty one, it is a mistake."""
    assert target_input("t", transformer(template)).input_transformer is not None
    assert "contains invalid placeholder b." in refusal(transformer(template, {}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"Input": "{}", "InputPath": "$"}, ONE_OF_THEM),
        ({"Input": "", **transformer('"x"')}, ONE_OF_THEM),
        ({"InputPath": "$", **transformer('"x"')}, ONE_OF_THEM),
        ({"InputPath": ""}, "InputPath for target t is invalid."),
        ({"InputPath": "$.detail['a']"}, "InputPath for target t is invalid."),
        ({"InputPath": "$.detail.*"}, "InputPath for target t is invalid."),
        (
            {"Input": "not-json"},
            "JSON syntax error in input for target t: "
            '[Source: (String)"not-json"; line: 1, column: 1]',
        ),
        (
            {"Input": "x" * 600},
            "JSON syntax error in input for target t: "
            f'[Source: (String)"{"x" * 500}"[truncated 100 chars]; line: 1, column: 1]',
        ),
        (
            {"Input": "[" * 5_000},
            "JSON syntax error in input for target t: "
            f'[Source: (String)"{"[" * 500}"[truncated 4500 chars]; line: 1, column: 1]',
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused(given: dict[str, Any], message: str) -> None:
    """Two of the three, what is no path, what is no JSON."""
    assert message == refusal(given)
