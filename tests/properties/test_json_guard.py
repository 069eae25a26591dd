"""Bodies that no SDK sends, to every operation: 400 in the protocol's own words, at once.

Nothing that stands in a body may be the server's fault, or keep it busy (each test has a minute).
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import SERVED, Answer, Api, operation
from requests_from_models import least

from farspan.wire.http import Request

JSON = [key for key in SERVED if key[0] in {"events", "logs", "sqs"}]
FORMS = [key for key in SERVED if key[0] in {"iam", "sts"}]
every_json_operation = pytest.mark.parametrize(("service", "name"), JSON)
every_form_operation = pytest.mark.parametrize(("service", "name"), FORMS)
several = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
DEEP = 100_000
NO_REQUEST = ("SerializationException", 400)

UNREADABLE = {
    "blank": b" ",
    "null": b"null",
    "true": b"true",
    "number": b"1",
    "text": b'"text"',
    "list": b"[]",
    "list-of-objects": b"[{}]",
    "cut-off": b'{"Name":"n',
    "two-documents": b"{}{}",
    "comment": b"{}//",
    "single-quotes": b"{'Name':'n'}",
    "trailing-comma": b'{"Name":"n",}',
    "form": b"Name=n",
    "xml": b"<Name>n</Name>",
    "arrays-unclosed": b"[" * DEEP,
    "objects-unclosed": b'{"a":' * DEEP,
    "arrays-closed": b"[" * DEEP + b"]" * DEEP,
    "member-deep": b'{"New":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "member-deep-in-objects": b'{"New":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "nan": b'{"New":NaN}',
    "infinity": b'{"New":-Infinity}',
    "endless-exponent": b'{"New":1e999999999}',
    "lone-surrogate": b'{"New":"\\ud800"}',
    "surrogates-turned-round": b'{"New":"\\udc00\\ud800"}',
    "surrogate-bytes": b'{"New":"\xed\xa0\x80"}',
    "half-an-escape": b'{"New":"\\u00"}',
    "control-character": b'{"New":"\x00"}',
    "no-utf-8": b'{"New":"\xff\xfe"}',
    "no-utf-8-in-a-name": b'{"\xff":1}',
    "overlong-utf-8": b'{"New":"\xc0\xaf"}',
    "utf-8-mark": b"\xef\xbb\xbf{}",
    "utf-16": '{"New":1}'.encode("utf-16"),
    "utf-32": '{"New":1}'.encode("utf-32"),
    "gzip": b"\x1f\x8b\x08\x00",
    "zeroes": b"\x00" * 1_000,
}

ODD = {
    "empty": b"",
    "no-members": b"{}",
    "empty-name": b'{"":1}',
    "unknown-members": b'{"New":[1,{"a":null}]}',
    "huge-integer": b'{"New":' + b"9" * 4_000 + b"}",
    "huger-integer": b'{"New":' + b"9" * 100_000 + b"}",
    "many-digits": b'{"New":0.' + b"1" * 100_000 + b"}",
    "thousand-members": json.dumps(dict.fromkeys(map(str, range(1_000)))).encode(),
    "one-member-a-thousand-times": b'{"New":1' + b',"New":1' * 1_000 + b"}",
    "long-list": b'{"New":[' + b"0," * 20_000 + b"0]}",
    "nested-500": b'{"New":' + b"[" * 500 + b"]" * 500 + b"}",
    "nested-1000": b'{"New":' + b"[" * 1_000 + b"]" * 1_000 + b"}",
    "blanks": b" \t\r\n" * 1_000 + b"{}",
}
"""Bodies that may be read or not: the operation's own answer is as good."""


@every_json_operation
def test_what_is_no_json_object_is_no_request(api: Api, service: str, name: str) -> None:
    """SerializationException, also where a member that is not known is to blame."""
    answers = {key: api.post(service, name, body) for key, body in UNREADABLE.items()}

    assert {} == {
        key: answer for key, answer in answers.items() if NO_REQUEST != (answer.code, answer.status)
    }


@every_json_operation
def test_an_odd_body_is_not_the_servers_fault(api: Api, service: str, name: str) -> None:
    """An answer of the operation's, or a refusal with a sentence."""
    answers = {key: api.post(service, name, body) for key, body in ODD.items()}

    assert {} == {key: answer for key, answer in answers.items() if not is_fair(answer)}


@every_json_operation
def test_of_a_member_that_comes_twice_the_last_counts(api: Api, service: str, name: str) -> None:
    """Whatever the first one was."""
    shape = operation(service, name).input_shape
    assert shape is not None
    names = list(shape.members)
    once = json.dumps(dict.fromkeys(names)).encode()
    twice = json.dumps(dict.fromkeys(names, 1)).encode()[:-1] + b"," + once[1:]

    if names:
        assert api.post(service, name, once) == api.post(service, name, twice)


@pytest.mark.parametrize(
    ("service", "name"), [("events", "PutRule"), ("events", "PutEvents"), ("sqs", "SendMessage")]
)
@pytest.mark.parametrize(
    "body",
    [
        b'{"New":"' + b"x" * (1 << 20) + b'"}',
        b'{"New":"' + b"\\u0041" * 170_000 + b'"}',
        b'{"New":[' + b"[]," * 250_000 + b"0]}",
        b'{"New":[' + b"{}," * 250_000 + b"0]}",
        b'{"' + b'":1,"'.join(str(n).encode() for n in range(80_000)) + b'":1}',
        b"9" * (1 << 20),
        b" " * (1 << 20),
    ],
    ids=["text", "escapes", "arrays", "objects", "members", "digits", "blanks"],
)
def test_a_megabyte_of_one_thing(api: Api, service: str, name: str, body: bytes) -> None:
    """A large body, and still an answer."""
    assert is_fair(api.post(service, name, body))


MUTATIONS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 4),
        st.sampled_from(
            [b"", b"\x00", b"\xff", b'"', b"\\", b"{", b"[", b"]", b"}", b",", b"9" * 30]
        )
        | st.binary(max_size=2),
    ),
    min_size=1,
    max_size=3,
)


@every_json_operation
@several
@given(mutations=MUTATIONS)
def test_a_good_body_that_was_damaged(
    api: Api, service: str, name: str, mutations: list[tuple[float, int, bytes]]
) -> None:
    """A few bytes cut out, put in or changed."""
    shape = operation(service, name).input_shape
    body = json.dumps(least(shape)).encode()
    for place, size, new in mutations:
        start = int(place * (len(body) + 1))
        body = body[:start] + new + body[start + size :]

    assert is_fair(api.post(service, name, body))


KEYS = st.lists(
    st.sampled_from(
        ["member", "entry", "1", "0", "9999", "99999", "-1", "key", "value", "Key", ""]
    ),
    max_size=4,
).map(lambda parts: "".join(f".{part}" for part in parts))


@every_form_operation
@several
@given(data=st.data())
def test_a_form_that_anyone_wrote(api: Api, service: str, name: str, data: st.DataObject) -> None:
    """Members as lists, lists as members, indices of any size."""
    model = operation(service, name)
    members = [] if model.input_shape is None else list(model.input_shape.members)
    names = st.builds("{}{}".format, st.sampled_from([*members, "New"]), KEYS)
    fields = data.draw(st.dictionaries(names, st.text(max_size=10), max_size=6), "fields")

    assert is_fair(api.send(form(model, fields)))


@every_form_operation
def test_a_form_of_a_thousand_fields(api: Api, service: str, name: str) -> None:
    """As many as a form may have, and one more; deep names and long ones."""
    model = operation(service, name)
    forms: list[dict[str, str]] = [
        {f"Tags.member.{n}.Key": "k" for n in range(count)} for count in (990, 1_100)
    ]
    forms += [{"Tags" + ".member.1" * 10_000: "k"}, {"x" * 1_000_000: "y"}]

    assert [] == [found for fields in forms if not is_fair(found := api.send(form(model, fields)))]


def form(model: Any, fields: dict[str, str]) -> Request:
    """Return a request of the query protocol."""
    given = {"Action": model.name, "Version": model.service_model.api_version, **fields}
    return Request(
        method="POST",
        path="/",
        headers={"host": "h", "content-type": "application/x-www-form-urlencoded"},
        body=urlencode(given, errors="replace").encode(),
    )


def is_fair(answer: Answer) -> bool:
    """Tell whether an answer is a success, or a refusal that says why."""
    return answer.status == 200 or (400 <= answer.status < 500 and bool(answer.message))
