"""Which Input, InputPath and InputTransformer PutTargets admits, in EventBridge's words.

What an admitted one makes of an event is decided in `delivery.transform`; that must cope with
whatever is admitted here, for the event is known only then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

from farspan.delivery.event_values import parse_path
from farspan.delivery.transform import PLACEHOLDER, Reserved, is_object_template, sources_of
from farspan.errors import ValidationException
from farspan.model.rule import InputTransformer

SOURCE_CHARACTERS_MAX: Final = 500
"""How much of a text EventBridge's JSON reader quotes (recorded with event patterns)."""

_KEY_OR_STRING: Final = re.compile(
    rf'("(?:[^"\\]++|\\.)*+"?|{PLACEHOLDER.pattern})[ \t\r\n]*(:?)', re.DOTALL
)


class TargetInput(NamedTuple):
    """What a target sends instead of the event: one of the three, or none."""

    input: str | None = None
    input_path: str | None = None
    input_transformer: InputTransformer | None = None


def target_input(target_id: str, given: Mapping[str, Any]) -> TargetInput:
    """Return what a target is given to send. Raises ValidationException where that is not valid."""
    text, path, transformer = (
        given.get(member) for member in ("Input", "InputPath", "InputTransformer")
    )
    if sum(member is not None for member in (text, path, transformer)) > 1:
        raise ValidationException(
            "Only one of Input, InputPath, or InputTransformer must be provided for target "
            f"{target_id}."
        )
    if text is not None:
        _check_input(target_id, text)
    elif path is not None:
        if parse_path(path) is None:
            raise ValidationException(f"InputPath for target {target_id} is invalid.")
    elif transformer is not None:
        return TargetInput(input_transformer=_transformer(target_id, transformer))
    return TargetInput(text, path)


def _check_input(target_id: str, text: str) -> None:
    """Refuse what is not JSON. An empty text is admitted, and delivers nothing (recorded)."""
    fault = _json_fault(text) if text else None
    if fault is not None:
        raise ValidationException(f"JSON syntax error in input for target {target_id}: {fault}")


def _transformer(target_id: str, given: Mapping[str, Any]) -> InputTransformer:
    paths = given.get("InputPathsMap")
    transformer = InputTransformer(
        input_template=given["InputTemplate"],
        input_paths=None if paths is None else tuple(sorted(paths.items())),
    )
    _check_names(target_id, transformer)
    _check_template(target_id, transformer.input_template)
    return transformer


def _check_names(target_id: str, transformer: InputTransformer) -> None:
    """Refuse names that are no variables, but only where there is a map; else they are text."""
    if transformer.input_paths is None:
        return
    known = sources_of(transformer)
    for name in PLACEHOLDER.findall(transformer.input_template):
        if name not in known:
            raise ValidationException(
                f"InputTemplate for target {target_id} contains invalid placeholder {name}."
            )


def _check_template(target_id: str, template: str) -> None:
    if is_object_template(template):
        _check_keys(target_id, template)
    elif Reserved.EVENT_JSON in PLACEHOLDER.findall(template):
        raise ValidationException(
            f"InputTemplate for target {target_id} contains placeholder {Reserved.EVENT_JSON} "
            "valid only for JSON template."
        )
    filled = PLACEHOLDER.sub("null", template)
    fault = _json_fault(filled)
    if fault is not None and not _is_lines(filled):
        raise ValidationException(f"Invalid InputTemplate for target {target_id} : {fault}.")


def _check_keys(target_id: str, template: str) -> None:
    for word, _, colon in _KEY_OR_STRING.findall(template):
        if colon and PLACEHOLDER.search(word):
            raise ValidationException(
                f"InputTemplate placeholder present as a JSON object key for target {target_id}."
            )


def _is_lines(text: str) -> bool:
    """Return whether a text is JSON strings, one a line."""
    lines = [line for line in text.split("\n") if line.strip(" \t\r")]
    return bool(lines) and all(
        line.lstrip(" \t\r").startswith('"') and _json_fault(line) is None for line in lines
    )


# --- JSON, and where it ends to be JSON -------------------------------------------------------


def _refuse_constant(word: str) -> NoReturn:
    raise json.JSONDecodeError(f"{word} is no JSON", word, 0)


# Numbers stay text: Python would refuse one of more than 4,300 digits.
_DECODER: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant)


def _json_fault(text: str) -> str | None:
    """Return where a text is no JSON, as EventBridge words it, or None where it is JSON."""
    try:
        _DECODER.decode(text)
    except json.JSONDecodeError as error:
        line, column = error.lineno, error.colno
    except RecursionError:
        line, column = 1, 1
    else:
        return None
    surplus = len(text) - SOURCE_CHARACTERS_MAX
    rest = f"[truncated {surplus} chars]" if surplus > 0 else ""
    shown = text[:SOURCE_CHARACTERS_MAX]
    return f'[Source: (String)"{shown}"{rest}; line: {line}, column: {column}]'
