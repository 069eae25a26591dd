"""The model's constraints in AWS's own words."""

from __future__ import annotations

import itertools
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from farspan import errors
from farspan.wire import spec, validate

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS, SQS = spec.service("events"), spec.service("sqs")
NAME_PATTERN = r"[\.\-_A-Za-z0-9]+"


def message(operation: str, params: dict[str, Any]) -> str:
    """Return the message that the parameters are refused with."""
    service = EVENTS if operation in EVENTS.operations else SQS
    with pytest.raises(errors.ValidationException) as caught:
        validate.check(service.operations[operation], params)
    return caught.value.message


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("PutEvents", {"Entries": [{"Source": "a", "Resources": ["r"]}]}),
        ("PutEvents", {"Entries": [{}] * 10, "EndpointId": "abcde.veo"}),
        ("PutRule", {"Name": "n" * 64, "State": "ENABLED", "EventPattern": "x"}),
        ("TagResource", {"ResourceARN": "a", "Tags": [{"Key": "k", "Value": ""}]}),
        ("ListRules", {"Limit": 100}),
        ("CreateQueue", {"QueueName": "q", "Attributes": {"DelaySeconds": "0"}, "tags": {}}),
    ],
)
def test_what_the_model_allows_passes(operation: str, params: dict[str, Any]) -> None:
    """Values on the edge of their constraints keep them."""
    service = EVENTS if operation in EVENTS.operations else SQS

    validate.check(service.operations[operation], params)


def test_an_operation_without_input_has_nothing_to_check() -> None:
    """There is no shape to break."""
    operation = spec.Operation(
        service="events",
        name="Nothing",
        input_shape=None,
        output_shape=None,
        http_method="POST",
        http_uri="/",
        http_status=200,
        error_codes=frozenset(),
    )

    validate.check(operation, {"a": 1})


@pytest.mark.parametrize(
    ("operation", "params", "shown", "constraint"),
    [
        (
            "PutEvents",
            {"Entries": []},
            "Value '[]' at 'entries'",
            "Member must have length greater than or equal to 1",
        ),
        (
            "PutRule",
            {"Name": "n" * 65},
            f"Value '{'n' * 65}' at 'name'",
            "Member must have length less than or equal to 64",
        ),
        ("PutRule", {}, "Value null at 'name'", "Member must not be null"),
        (
            "CreateConnection",
            {"Name": "c", "AuthorizationType": "X", "AuthParameters": {}},
            "Value 'X' at 'authorizationType'",
            "Member must satisfy enum value set: [BASIC, OAUTH_CLIENT_CREDENTIALS, API_KEY]",
        ),
        (
            "PutTargets",
            {"Rule": "r", "Targets": [{"Id": "a b", "Arn": "x"}]},
            "Value 'a b' at 'targets.1.member.id'",
            f"Member must satisfy regular expression pattern: {NAME_PATTERN}",
        ),
        (
            "RemoveTargets",
            {"Rule": "r", "Ids": ["a", None]},
            "Value null at 'ids.2.member'",
            "Member must not be null",
        ),
        (
            "AddPermission",
            {"QueueUrl": "u", "Label": "l", "Actions": ["a"], "AWSAccountIds": ["1", None, "2"]},
            "Value null at 'aWSAccountIds.2.member'",
            "Member must not be null",
        ),
        (
            "ListRules",
            {"Limit": 0},
            "Value '0' at 'limit'",
            "Member must have value greater than or equal to 1",
        ),
        (
            "ListRules",
            {"Limit": 101},
            "Value '101' at 'limit'",
            "Member must have value less than or equal to 100",
        ),
        (
            "SendMessage",
            {"QueueUrl": "u", "MessageBody": "b", "MessageAttributes": {"a": {}}},
            "Value null at 'messageAttributes.a.member.dataType'",
            "Member must not be null",
        ),
    ],
)
def test_one_violation_is_worded_as_aws_does(
    operation: str, params: dict[str, Any], shown: str, constraint: str
) -> None:
    """Value, place and constraint, in the singular."""
    expected = f"1 validation error detected: {shown} failed to satisfy constraint: {constraint}"

    assert expected == message(operation, params)


def test_length_and_pattern_are_both_reported() -> None:
    """One member may break two constraints: length first, then pattern; in the plural."""
    value = " " * 65

    assert message("PutRule", {"Name": value}) == (
        f"2 validation errors detected: Value '{value}' at 'name' failed to satisfy constraint: "
        f"Member must have length less than or equal to 64; Value '{value}' at 'name' failed to "
        f"satisfy constraint: Member must satisfy regular expression pattern: {NAME_PATTERN}"
    )


def test_map_keys_and_values_are_reported_for_the_whole_map() -> None:
    """All constraints of a map's key are named together, once."""
    target = {
        "Id": "t",
        "Arn": "a",
        "InputTransformer": {"InputTemplate": "t", "InputPathsMap": {"a b": "$.a", "c": "x" * 257}},
    }
    place = "targets.1.member.inputTransformer.inputPathsMap"
    shown = f"Value '{{a b=$.a, c={'x' * 257}}}' at '{place}' failed to satisfy constraint: "

    assert message("PutTargets", {"Rule": "r", "Targets": [target]}) == (
        f"2 validation errors detected: {shown}Map keys must satisfy constraint: "
        "[Member must have length less than or equal to 256, Member must have length greater than "
        r"or equal to 1, Member must satisfy regular expression pattern: [A-Za-z0-9\_\-]+]; "
        f"{shown}Map value must satisfy constraint: "
        "[Member must have length less than or equal to 256]"
    )


def test_a_null_in_a_map_is_reported() -> None:
    """A map's value is never null, whatever else is asked of it."""
    assert "Value '{k=null}' at 'tags' failed to satisfy constraint: Map value must satisfy " in (
        message("CreateQueue", {"QueueName": "q", "tags": {"k": None}})
    )


def test_enumerated_map_keys_name_their_values() -> None:
    """A map keyed by an enumeration lists what its keys may be."""
    text = message("CreateQueue", {"QueueName": "q", "Attributes": {"Nonsense": "1"}})

    assert "Map keys must satisfy constraint: [Member must satisfy enum value set: [All, " in text


def test_eleven_entries_are_echoed_as_java_writes_them() -> None:
    """The text recorded from AWS shows each entry's toString, unmodelled members included."""
    entry = {"Time": 1790000000.0, "Source": "a.b", "Resources": ["x", "y"], "Detail": "{}"}
    shown = (
        "PutEventsRequestEntry(time=Mon Sep 21 14:13:20 UTC 2026, source=a.b, resources=[x, y], "
        "detailType=null, detail={}, eventBusName=null, traceHeader=null, kmsKeyIdentifier=null, "
        "internalMetadata=null)"
    )

    assert message("PutEvents", {"Entries": [entry] * 11}) == (
        f"1 validation error detected: Value '[{', '.join([shown] * 11)}]' at 'entries' failed to "
        "satisfy constraint: Member must have length less than or equal to 10"
    )


@pytest.mark.parametrize(
    ("type_", "value", "shown"),
    [
        ("boolean", True, "true"),
        ("boolean", False, "false"),
        ("integer", 7, "7"),
        ("blob", b"abc", "java.nio.HeapByteBuffer[pos=0 lim=3 cap=3]"),
    ],
)
def test_scalars_are_rendered_as_java_writes_them(type_: str, value: Any, shown: str) -> None:
    """Booleans in lower case, buffers without their content."""
    assert shown == validate.render(spec.Shape(name="S", type=type_, members={}), value)


def test_sensitive_values_are_not_echoed() -> None:
    """A secret does not come back in an error, nor inside a structure that does."""
    parameters = {"ApiKeyAuthParameters": {"ApiKeyName": "n", "ApiKeyValue": "s3cret" * 100}}
    params = {"Name": "c", "AuthorizationType": "API_KEY", "AuthParameters": parameters}
    shape = EVENTS.operations["CreateConnection"].input_shape

    assert shape is not None
    assert message("CreateConnection", params) == (
        "1 validation error detected: Value at 'authParameters.apiKeyAuthParameters.apiKeyValue' "
        "failed to satisfy constraint: Member must have length less than or equal to 512"
    )
    assert "s3cret" not in validate.render(shape, params)


def test_messages_stay_small() -> None:
    """A body full of violations gives a message that can still be sent."""
    entries = [{"EventBusName": " " * 5000}] * 50_000
    text = message("PutEvents", {"Entries": entries})
    attributes = message(
        "SendMessage",
        {
            "QueueUrl": "u",
            "MessageBody": "b",
            "MessageAttributes": {f"{'k' * 10_000}{index}": {} for index in range(1000)},
        },
    )

    assert text.startswith(f"{validate.VIOLATIONS_MAX} validation errors detected")
    assert attributes.startswith(f"{validate.VIOLATIONS_MAX} validation errors detected")
    assert len(text) < 1_000_000
    assert len(attributes) < 100_000


def test_long_lists_and_maps_are_echoed_in_part() -> None:
    """A rendered list or map ends after a hundred items."""
    item = spec.Member(name="member", shape=spec.Shape(name="S", type="string", members={}))
    strings = spec.Shape(name="L", type="list", members={"member": item})
    pairs = spec.Shape(name="M", type="map", members={"key": item, "value": item})

    assert validate.render(strings, ["a"] * 101) == f"[{'a, ' * 100}…]"
    assert validate.render(pairs, {str(index): "v" for index in range(101)}).endswith("99=v, …}")


# --- patterns --------------------------------------------------------------------------------


def _shapes(shape: spec.Shape, seen: set[str] | None = None) -> Iterator[spec.Shape]:
    """Yield a shape and all within it, each once: some hold themselves."""
    seen = set() if seen is None else seen
    if shape.name not in seen:
        seen.add(shape.name)
        yield shape
        for member in shape.members.values():
            yield from _shapes(member.shape, seen)


PATTERNS = sorted(
    {
        shape.pattern
        for name in spec.API_VERSIONS
        for operation in spec.service(name).operations.values()
        for root in (operation.input_shape, operation.output_shape)
        if root is not None
        for shape in _shapes(root)
        if shape.pattern is not None
    }
)
ADVERSARIES = [
    " " * 2000 + ":",
    "\t " * 1000 + "\x00",
    "a" * 2000 + "!",
    "-" * 2000 + "!",
    "a-" * 1000 + "!",
    "a/" * 1000 + "!",
    "$.a" + "[1]" * 700 + "!",
    "arn:aws:events:" + "a" * 2000,
    "%41" * 700 + "^",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_every_pattern_of_the_models_is_fast(pattern: str) -> None:
    """No pattern that a caller's string meets takes more than a moment, whatever the string."""
    compiled = validate.compiled(pattern)

    started = time.process_time()
    for text in ADVERSARIES:
        compiled.fullmatch(text)

    assert time.process_time() - started < 1


@pytest.mark.parametrize("pattern", validate.EQUIVALENT_PATTERNS)
def test_a_replaced_pattern_takes_the_same_strings(pattern: str) -> None:
    """The linear pattern agrees with the model's on every short string of telling characters."""
    original = re.compile(pattern, re.ASCII)
    texts = [
        "".join(text) for size in range(6) for text in itertools.product("a \t:\x7f", repeat=size)
    ]

    assert [bool(original.fullmatch(text)) for text in texts] == [
        bool(validate.compiled(pattern).fullmatch(text)) for text in texts
    ]


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (NAME_PATTERN, "a\n", False),
        (r"^[\-a-z0-9]+$", "a\n", False),
        (r"\d{12}", "\u0661" * 12, False),
        (r"^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$", "\u00e9t\u00e9 \u4e2d\u00a0\u0661_@", True),
        (r"^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$", "a\tb", False),
        (r"\p{ASCII}+", "a b", True),
        (r"\p{ASCII}+", "\u00e9", False),
    ],
)
def test_patterns_mean_what_they_mean_in_java(pattern: str, text: str, *, matches: bool) -> None:
    """The whole text has to match; digits are ASCII; classes by property are Unicode's."""
    assert matches is (validate.compiled(pattern).fullmatch(text) is not None)


def test_a_text_too_long_to_try_does_not_match() -> None:
    """Beyond the cap a value counts as wrong, not as right."""
    shape = spec.Shape(name="S", type="string", members={}, pattern="a+")

    assert len(validate.violations(shape, "a" * validate.PATTERN_CHARACTERS_MAX)) == 0
    assert len(validate.violations(shape, "a" * (validate.PATTERN_CHARACTERS_MAX + 1))) == 1


def test_an_unconstrained_shape_is_not_walked() -> None:
    """Where nothing can be violated, nothing is."""
    shape = spec.Shape(name="S", type="string", members={})

    assert validate.violations(shape, "anything") == []
