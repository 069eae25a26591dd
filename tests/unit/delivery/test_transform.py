"""What targets receive instead of the event."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.control.target_inputs import target_input
from farspan.delivery.plan import plan_deliveries
from farspan.delivery.transform import (
    RENDERED_BYTES_MAX,
    Payload,
    Subject,
    compile_template,
    payload_for,
)
from farspan.errors import ValidationException
from farspan.model.rule import InputTransformer, Rule, Target

RULE = Rule(region="us-east-1", account="123456789012", event_bus_name="default", name="example")
ACCEPTED_AT = 1_789_301_850.408  # 2026-09-13T12:17:30.408Z

INSTANCE_EVENT = (
    b'{"version":"0","id":"7bf73129-1428-4cd3-a780-95db273d1602",'
    b'"detail-type":"EC2 Instance State-change Notification","source":"aws.ec2",'
    b'"account":"123456789012","time":"2015-11-11T21:29:54Z","region":"us-east-1",'
    b'"resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],'
    b'"detail":{"instance-id":"i-0123456789","state":"RUNNING"}}'
)
"""The event of AWS's documentation of input transformation."""

INSTANCE_PATHS = {
    "timestamp": "$.time",
    "instance": "$.detail.instance-id",
    "state": "$.detail.state",
    "resource": "$.resources[0]",
}
WITHOUT_DETAIL = (
    '{"id":"7bf73129-1428-4cd3-a780-95db273d1602","account":"123456789012",'
    '"detailType":"EC2 Instance State-change Notification","time":1447277394000,'
    '"source":"aws.ec2","region":"us-east-1",'
    '"resources":["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],"version":"0"}'
)

DETAIL = {
    "text": "hello",
    "quote": 'say "hi"',
    "lines": "one\ntwo",
    "slash": "back\\slash",
    "umlaut": "ü€\U0001f600",
    "blank": "",
    "number": 42,
    "yes": True,
    "null": None,
    "object": {"k": "one", "l": 2},
    "array": ["one", "two", {"x": 3}],
    "numbers": [1, 2],
    "empty": {},
}
EVENT = json.dumps({"source": "shop", "detail": DETAIL}).encode()
PATHS = {name: f"$.detail.{name}" for name in (*DETAIL, "missing")}


def transformed(
    template: str, paths: dict[str, str] | None = None, event: bytes = EVENT
) -> Payload:
    """Return what a target with this transformer receives."""
    transformer = InputTransformer(
        input_template=template,
        input_paths=None if paths is None else tuple(paths.items()),
    )
    target = Target(id="t", arn="arn:t", input_transformer=transformer)
    return payload_for(target, RULE, Subject(event, ACCEPTED_AT))


def via_path(path: str, event: bytes = EVENT) -> Payload:
    """Return what a target with this InputPath receives."""
    target = Target(id="t", arn="arn:t", input_path=path)
    return payload_for(target, RULE, Subject(event, ACCEPTED_AT))


@pytest.mark.parametrize(
    ("template", "body"),
    [
        pytest.param(
            '"instance <instance> is in <state>"',
            '"instance i-0123456789 is in RUNNING"',
            id="simple string",
        ),
        pytest.param(
            '"instance \\"<instance>\\" is in <state>"',
            '"instance \\"i-0123456789\\" is in RUNNING"',
            id="string with escaped quotes",
        ),
        pytest.param(
            '{\n  "instance" : <instance>,\n  "state": <state>\n}',
            '{"instance":"i-0123456789","state":"RUNNING"}',
            id="simple JSON",
        ),
        pytest.param(
            '{\n "instance" : <instance>,\n "state": "<state>",\n'
            ' "instanceStatus": "instance \\"<instance>\\" is in <state>"\n}',
            '{"instance":"i-0123456789","state":"RUNNING",'
            '"instanceStatus":"instance \\"i-0123456789\\" is in RUNNING"}',
            id="JSON with strings and variables",
        ),
        pytest.param(
            '{"instance":<instance>,"state":[ 9, <state>, true ],"Transformed" : "Yes"}',
            '{"instance":"i-0123456789","state":[9,"RUNNING",true],"Transformed":"Yes"}',
            id="JSON with variables and static text",
        ),
        pytest.param(
            '{"instance":<instance>,"ruleArn":<aws.events.rule-arn>,'
            '"ruleName":<aws.events.rule-name>,"originalEvent":<aws.events.event>}',
            '{"instance":"i-0123456789",'
            '"ruleArn":"arn:aws:events:us-east-1:123456789012:rule/example",'
            f'"ruleName":"example","originalEvent":{WITHOUT_DETAIL}}}',
            id="reserved variables in JSON",
        ),
        pytest.param(
            '"<aws.events.rule-name> triggered"',
            '"example triggered"',
            id="a reserved variable in a string",
        ),
        pytest.param(
            '{"timestamp" : <timestamp>, "message": "instance \\"<instance>\\" is in <state>"}',
            '{"timestamp":"2015-11-11T21:29:54Z",'
            '"message":"instance \\"i-0123456789\\" is in RUNNING"}',
            id="a log group's event",
        ),
        pytest.param('{"resource":<resource>}', '{"resource":"arn:aws:ec2:us-east-1:123456789012:'
            'instance/i-abcd1111"}', id="an element"),
    ],
)  # fmt: skip
def test_the_examples_of_the_documentation(template: str, body: str) -> None:
    """AWS's examples of templates give AWS's outputs, minified."""
    assert Payload(body.encode()) == transformed(template, INSTANCE_PATHS, INSTANCE_EVENT)


def test_the_whole_event_inside_an_object() -> None:
    """`aws.events.event.json` is the event, and the time is that of acceptance, as on AWS."""
    template = '{"event":<aws.events.event.json>,"at":<aws.events.event.ingestion-time>}'
    body = b'{"event":%b,"at":"2026-09-13T12:17:30.408Z"}' % INSTANCE_EVENT

    assert Payload(body) == transformed(template, None, INSTANCE_EVENT)


@pytest.mark.parametrize(
    ("name", "bare", "quoted", "text"),
    [
        ("text", '"hello"', "hello", "hello"),
        ("umlaut", '"ü€\U0001f600"', "ü€\U0001f600", "ü€\U0001f600"),
        ("quote", '"say \\"hi\\""', 'say \\"hi\\"', 'say "hi"'),
        ("lines", '"one\\ntwo"', "one\\ntwo", "one\ntwo"),
        ("slash", '"back\\\\slash"', "back\\\\slash", "back\\slash"),
        ("blank", '""', "", ""),
        ("number", "42", "42", "42"),
        ("yes", "true", "true", "true"),
        ("null", "null", "null", "null"),
        ("object", '{"k":"one","l":2}', '{"k":"one","l":2}', "{k:one,l:2}"),
        ("array", '["one","two",{"x":3}]', '["one","two",{"x":3}]', "[one,two,{x:3}]"),
        ("numbers", "[1,2]", "[1,2]", "[1,2]"),
        ("empty", "{}", "{}", "{}"),
        ("missing", '""', "", ""),
    ],
)  # fmt: skip
def test_three_ways_to_fill_a_place(name: str, bare: str, quoted: str, text: str) -> None:
    """Bare and quoted in an object template, and anywhere else: as recorded from AWS."""
    in_object = transformed(f'{{"a":<{name}>,"b":[<{name}>],"c":"(<{name}>)"}}', PATHS)
    elsewhere = transformed(f'"(<{name}>)"', PATHS)

    assert f'{{"a":{bare},"b":[{bare}],"c":"({quoted})"}}' == in_object.body.decode()
    assert f'"({text})"' == elsewhere.body.decode()


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ('{"a":"<object>"}', '{"a":"{"k":"one","l":2}"}'),
        ('{"a":"<array>"}', '{"a":"["one","two",{"x":3}]"}'),
        ('"<quote>"', '"say "hi""'),
        ('"<lines>"', '"one\ntwo"'),
        ("[<text>]", "[hello]"),
        ("<text>", "hello"),
        ("<object>", "{k:one,l:2}"),
        ('[{"value":<missing>}]', '[{"value":}]'),
        ('"<text>"\n<number>', '"hello"\n42'),
    ],
)
def test_a_text_that_is_no_json_is_invalid(template: str, body: str) -> None:
    """What came out is kept, for the dead letter shows it."""
    assert Payload(body.encode(), is_invalid=True) == transformed(template, PATHS)


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ('["a",<number>]', '["a",42]'),
        ("<number>", "42"),
        ("<numbers>", "[1,2]"),
        ('"<object>"', '"{k:one,l:2}"'),
        ('{"a":"<numbers>"}', '{"a":"[1,2]"}'),
        ('"first <text>"\n"second <text>"', '"first hello"\n"second hello"'),
        ('"first <text>"\n\n"second"\n', '"first hello"\n\n"second"\n'),
        ('  "<text>"  ', '  "hello"  '),
        ('[ 1 , "<text>" ]', '[ 1 , "hello" ]'),
        ('\n { "a" : "b  c" } ', '{"a":"b  c"}'),
        ('"1 < 2 <> <text> < text > </text>"', '"1 < 2 <> hello < text > </text>"'),
        ('{"a":"1 < 2 <> <text> < text > </text>"}', '{"a":"1 < 2 <> hello < text > </text>"}'),
        ('{"\\"":"\\\\","a":"<text>\\\\"}', '{"\\"":"\\\\","a":"hello\\\\"}'),
        ('"ü <umlaut>"', '"ü ü€\U0001f600"'),
        ('"nothing to fill"', '"nothing to fill"'),
    ],
)
def test_a_text_that_is_json_or_lines_of_strings(template: str, body: str) -> None:
    """It is delivered as it came out; an object template loses its blanks."""
    assert Payload(body.encode()) == transformed(template, PATHS)


@pytest.mark.parametrize(
    ("template", "payload"),
    [
        ('"before <undefined> after"', Payload(b'"before <undefined> after"')),
        ('"<aws.events.unknown>"', Payload(b'"<aws.events.unknown>"')),
        ('{"a":"<undefined>"}', Payload(b'{"a":"<undefined>"}')),
        ('{"a":<undefined>}', Payload(b'{"a":<undefined>}', is_invalid=True)),
    ],
)
def test_a_name_that_is_no_variable_stays(template: str, payload: Payload) -> None:
    """Where there is no map of paths a strange name is text."""
    assert payload == transformed(template)


def test_a_path_that_is_none_finds_nothing() -> None:
    """AWS does not validate the paths of variables; such a variable has no value."""
    paths = {"a": "$.detail['text']", "b": "", "c": "$..text"}

    assert Payload(b'{"a":"","b":"","c":""}') == transformed('{"a":<a>,"b":<b>,"c":"<c>"}', paths)


def test_numbers_stay_as_they_were_sent() -> None:
    """No digit of a number changes, whichever way it is inserted."""
    event = b'{"detail":{"n":123456789012345678901234567890,"f":1.0,"l":[1.10, 1E400]}}'
    paths = {"n": "$.detail.n", "f": "$.detail.f", "l": "$.detail.l"}

    assert Payload(
        b'{"n":123456789012345678901234567890,"f":1.0,"l":[1.10,1E400],"t":"1.0"}'
    ) == transformed('{"n":<n>,"f":<f>,"l":<l>,"t":"<f>"}', paths, event)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("$", json.dumps(json.loads(EVENT), separators=(",", ":"), ensure_ascii=False)),
        ("$.detail.text", '"hello"'),
        ("$.detail.quote", '"say \\"hi\\""'),
        ("$.detail.number", "42"),
        ("$.detail.null", "null"),
        ("$.detail.object", '{"k":"one","l":2}'),
        ("$.detail.array[*].x", "[3]"),
    ],
)
def test_input_path(path: str, body: str) -> None:
    """The value at the path as compact JSON, a string with its quotes."""
    assert Payload(body.encode()) == via_path(path)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(via_path("$.detail.missing"), id="a path to nothing"),
        pytest.param(via_path("$.no path"), id="no path"),
        pytest.param(transformed("<missing>", PATHS), id="a template of nothing"),
        pytest.param(
            payload_for(Target(id="t", arn="a", input=""), RULE, Subject(EVENT, 0.0)),
            id="an empty input",
        ),
    ],
)
def test_an_empty_text_is_not_sent(payload: Payload) -> None:
    """It is invalid, and the dead letter shows the event."""
    assert Payload(EVENT, is_invalid=True) == payload


def test_a_text_that_grows_too_large_is_invalid() -> None:
    """A template that names a large event many times is given up rather than built."""
    event = json.dumps({"detail": {"text": "x" * (RENDERED_BYTES_MAX // 4)}}).encode()
    template = json.dumps({str(number): "<text>" for number in range(5)})

    assert Payload(event, is_invalid=True) == transformed(template, PATHS, event)


@pytest.mark.parametrize("time", ['"yesterday"', "5", "null", '"2015-11-11T21:29:54"'])
def test_a_time_that_is_none_is_shown_as_it_is(time: str) -> None:
    """`aws.events.event` has milliseconds only where the event has a time."""
    event = f'{{"time":{time},"id":"x"}}'.encode()
    body = f'{{"e":{{"id":"x","time":{time}}}}}'.encode()

    assert Payload(body) == transformed('{"e":<aws.events.event>}', None, event)


def test_a_template_is_compiled_once() -> None:
    """The same transformer gives the same compiled template, and adjacent literals are one."""
    first, second = (
        compile_template(
            InputTransformer(input_template='{ "a" : 1, "b" : <t> }', input_paths=(("t", "$"),))
        )
        for _ in range(2)
    )

    assert first is second
    assert [bytes] == [type(part) for part in first[:1]]
    assert 3 == len(first)


# --- whatever the transformer and the event ---------------------------------------------------

NAMES = ["a", "b", "c", "missing", "undefined", "aws.events.rule-arn", "aws.events.rule-name"]
NAMES += ["aws.events.event", "aws.events.event.json", "aws.events.event.ingestion-time"]
PIECES = [*(f"<{name}>" for name in NAMES), *'{}[]":,<>\\ \n', "null", "x", '"k":', '"<a>"', "ü"]
TEMPLATES = st.lists(st.sampled_from(PIECES), min_size=1, max_size=20).map("".join)
STEPS = st.sampled_from([".detail", ".a", ".b", ".time", "[0]", "[1]", "[*]", "['a']", "..a"])
SOME_PATHS = st.fixed_dictionaries(
    {name: st.lists(STEPS, max_size=4).map(lambda s: "$" + "".join(s)) for name in ("a", "b", "c")}
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FINITE | st.text()
ANY_JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "detail", "time"]) | st.text(), inner)
    ),
    max_leaves=15,
)


@given(TEMPLATES, st.none() | SOME_PATHS, ANY_JSON)
def test_rendering_never_raises(template: str, paths: dict[str, str] | None, event: object) -> None:
    """Every text is a template, admitted or not, and every JSON an event; there is a payload."""
    payload = transformed(template, paths, json.dumps(event).encode())

    assert payload.body


@given(TEMPLATES, st.none() | SOME_PATHS, st.binary(max_size=40))
def test_rendering_never_raises_for_bytes(
    template: str, paths: dict[str, str] | None, event: bytes
) -> None:
    """Not even for an event that is no JSON at all."""
    assert isinstance(transformed(template, paths, event), Payload)


def object_templates() -> st.SearchStrategy[str]:
    """Return templates of objects with variables bare and, where they are scalars, in quotes."""
    bare = st.sampled_from([f"<{name}>" for name in NAMES if name != "undefined"])
    quoted = st.lists(
        st.sampled_from(["<s>", "<missing>", "<aws.events.rule-name>", "x", '\\"', "<", " "])
    ).map(lambda pieces: f'"{"".join(pieces)}"')
    values = st.recursive(
        bare | quoted | st.sampled_from(["1", "null", " [ ] "]),
        lambda inner: st.lists(inner, max_size=3).map(lambda each: f"[{','.join(each)}]"),
        max_leaves=8,
    )
    return st.lists(values, min_size=1, max_size=5).map(
        lambda each: "{" + ", ".join(f'"k{n}" : {one}' for n, one in enumerate(each)) + "}"
    )


@given(object_templates(), SOME_PATHS, ANY_JSON, SCALARS)
def test_an_object_template_gives_json(
    template: str, paths: dict[str, str], detail: object, scalar: object
) -> None:
    """Whatever the values are: bare anything, and in quotes scalars, come out as valid JSON."""
    paths = {**paths, "s": "$.s", "missing": "$.nowhere"}
    event = json.dumps({"detail": detail, "s": scalar}).encode()
    target_input("t", {"InputTransformer": {"InputPathsMap": paths, "InputTemplate": template}})
    payload = transformed(template, paths, event)

    assert not payload.is_invalid
    assert isinstance(json.loads(payload.body), dict)


@given(ANY_JSON, st.text())
def test_what_an_object_template_inserts_is_what_the_event_has(value: object, text: str) -> None:
    """A bare variable is the value itself, and in quotes a string's text."""
    event = json.dumps({"value": value, "text": text}).encode()
    paths = {"value": "$.value", "text": "$.text"}
    payload = transformed('{"bare":[<value>],"quoted":"(<text>)"}', paths, event)

    assert {"bare": [value], "quoted": f"({text})"} == json.loads(payload.body)


@given(TEMPLATES, st.none() | SOME_PATHS, ANY_JSON)
def test_what_is_admitted_is_rendered(
    template: str, paths: dict[str, str] | None, event: object
) -> None:
    """What PutTargets admits, planning can use: a delivery with a body, valid or not."""
    given_members: dict[str, Any] = {"InputTemplate": template}
    if paths is not None:
        given_members["InputPathsMap"] = paths
    try:
        said = target_input("t", {"InputTransformer": given_members})
    except ValidationException:
        return
    target = Target(id="t", arn="arn:t", **said._asdict())
    rule = Rule(region="r", account="1", event_bus_name="b", name="n", targets={"t": target})
    (delivery,) = plan_deliveries(json.dumps(event).encode(), [rule], 5.0, ACCEPTED_AT)

    assert delivery.payload
