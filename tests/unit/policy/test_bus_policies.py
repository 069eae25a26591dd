"""Bus policies: what PutPermission accepts, how it is stored, and each refusal in its words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from farspan.errors import AwsError, PolicyLengthExceededException, ValidationException
from farspan.policy import BUS_POLICY_CHARS_MAX, parse_bus_policy, render

BUS = "arn:aws:events:us-east-1:111122223333:event-bus/orders"
OTHER = "arn:aws:events:us-east-1:111122223333:event-bus/other"
STATEMENT: dict[str, Any] = {
    "Sid": "one",
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
    "Action": "events:PutEvents",
    "Resource": BUS,
}
AT = "Invalid statement at line 1 column 38: "


def document(**changes: Any) -> dict[str, Any]:
    """Return a policy of one statement; a member set to None is left out."""
    statement = {**STATEMENT, **changes}
    members = {name: value for name, value in statement.items() if value is not None}
    return {"Version": "2012-10-17", "Statement": [members]}


def compact(value: object) -> str:
    """Return JSON as AWS stores it."""
    return json.dumps(value, separators=(",", ":"))


ACCEPTED = {
    "as it is": document(),
    "old version": {**document(), "Version": "2008-10-17"},
    "id": {"Version": "2012-10-17", "Id": "x", "Statement": [STATEMENT]},
    "any resource": document(Resource="*"),
    "wildcard that reaches the bus": document(Resource=BUS[:-2] + "*"),
    "rules on the bus": document(
        Action="events:PutRule", Resource=BUS.replace("event-bus", "rule") + "/*"
    ),
    "all events actions": document(Action="events:*"),
    "all actions": document(Action="*"),
    "list of actions": document(Action=["events:PutEvents", "events:Describe*"]),
    "other case": document(Action="EVENTS:putevents"),
    "deny": document(Effect="Deny"),
    "service": document(Principal={"Service": "events.amazonaws.com"}),
    "two kinds": document(Principal={"AWS": "*", "Service": ["s3.amazonaws.com"]}),
    "everyone": document(Principal="*"),
    "session": document(Principal={"AWS": "arn:aws:sts::444455556666:assumed-role/r/s"}),
    "role with a path": document(Principal={"AWS": "arn:aws:iam::444455556666:role/p/r"}),
    "condition": document(
        Condition={
            "StringEquals": {"aws:PrincipalOrgID": "o-1234567890", "events:source": ["a", "b"]},
            "ArnLike": {"aws:SourceArn": "arn:aws:events:*:*:rule/${aws:PrincipalTag/team}"},
        }
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_valid_policy_is_stored_as_written(name: str) -> None:
    """What is valid comes back as it was, in compact JSON."""
    text = json.dumps(ACCEPTED[name], indent=2)

    assert compact(ACCEPTED[name]) == render(parse_bus_policy(text, bus_arn=BUS))


NORMALISED = [
    (
        document(Effect="Deny", Principal=None, NotPrincipal={"AWS": "444455556666"}),
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "one",
                    "Effect": "Deny",
                    "NotPrincipal": {"AWS": "arn:aws:iam::444455556666:root"},
                    "Action": "events:PutEvents",
                    "Resource": BUS,
                }
            ],
        },
    ),
    (
        {**document(), "Statement": STATEMENT},
        document(),
    ),
    (
        document(Principal={"AWS": "444455556666"}),
        document(),
    ),
    (
        document(Principal={"AWS": ["444455556666", "*"]}),
        document(Principal={"AWS": ["arn:aws:iam::444455556666:root", "*"]}),
    ),
    (
        document(Condition={"Bool": {"aws:SecureTransport": True}}),
        document(Condition={"Bool": {"aws:SecureTransport": "true"}}),
    ),
    (
        document(Condition={"NumericLessThan": {"aws:EpochTime": [1.50, 2]}}),
        document(Condition={"NumericLessThan": {"aws:EpochTime": ["1.5", "2"]}}),
    ),
    (
        {"Statement": [dict(reversed(STATEMENT.items()))], "Version": "2012-10-17"},
        document(),
    ),
]


@pytest.mark.parametrize(("given", "stored"), NORMALISED)
def test_other_spellings_are_normalised(given: object, stored: object) -> None:
    """A single statement, a bare account, bare values and another order are stored in one form."""
    assert compact(stored) == render(parse_bus_policy(json.dumps(given), bus_arn=BUS))


def test_a_bare_account_gets_the_partition_of_the_bus() -> None:
    """In another partition, the root's ARN is of that partition."""
    bus = BUS.replace("arn:aws:", "arn:aws-cn:")
    text = compact(document(Principal={"AWS": "444455556666"}, Resource=bus))

    assert '"arn:aws-cn:iam::444455556666:root"' in render(parse_bus_policy(text, bus_arn=bus))


REFUSED = [
    ("null", "This text appears not to be a policy"),
    ("[]", "This text appears not to be a policy"),
    ('"text"', "This text appears not to be a policy"),
    ('{"Version":"2012-10-17","Statement":[],"More":1}', "This text appears not to be a policy"),
    (compact({**document(), "Id": 5}), "This text appears not to be a policy"),
    ('{"Version":"2012-10-17","Statement":[1]}', "This text appears not to be a policy"),
    ("", "This policy contains invalid Json"),
    ("{", "This policy contains invalid Json"),
    ('{"Version":NaN}', "This policy contains invalid Json"),
    ('{"Version":"2012-10-17","Version":"2008-10-17"}', "This policy contains invalid Json"),
    ('{"Version":"\\ud800"}', "This policy contains invalid Json"),
    ("[" * 5_000, "This policy contains invalid Json"),
    ('{"Version":"2012-10-17"}', "Could not parse the policy: Statement is empty!"),
    ('{"Version":"2012-10-17","Statement":[]}', "Could not parse the policy: Statement is empty!"),
    (compact({"Statement": [STATEMENT]}), "Missing required field Version"),
    (compact(document(Sid=None)), "Missing required field Sid"),
    (compact(document(Effect=None)), "Missing required field Effect"),
    (compact(document(Principal=None)), "Missing required field Principal"),
    (compact(document(Action=None)), "Missing required field Action"),
    (compact(document(Resource=None)), "Missing required field Resource"),
    (
        compact({**document(), "Version": "2020-01-01"}),
        "The policy's Version has to be 2012-10-17 or 2008-10-17.",
    ),
    (
        compact({"Version": "2012-10-17", "Statement": [STATEMENT, STATEMENT]}),
        f"Invalid statement at line 1 column {39 + len(compact(STATEMENT))}: "
        "The Statement Ids in the policy are not unique",
    ),
    (
        compact(document(Action="s3:GetObject")),
        AT + "Action field includes AWS services that are inconsistent with specified vendor",
    ),
    (
        compact(document(Action=["events:PutEvents", "sqs:*"])),
        AT + "Action field includes AWS services that are inconsistent with specified vendor",
    ),
    (
        compact(document(Action="events:NoSuchAction")),
        AT + 'The following action names are invalid: "events:NoSuchAction"',
    ),
    (
        compact(document(Action=["PutEvents", "events:"])),
        AT + 'The following action names are invalid: "PutEvents", "events:"',
    ),
    (
        compact(document(Resource=OTHER)),
        f'The relative-id "event-bus/other" is invalid for ARN "{OTHER}"',
    ),
    (
        compact(document(Resource="arn:aws:sqs:us-east-1:111122223333:q")),
        'The relative-id "q" is invalid for ARN "arn:aws:sqs:us-east-1:111122223333:q"',
    ),
    (compact(document(Resource="orders")), AT + 'Resource orders must be in ARN format or "*".'),
    (
        compact(document(Condition={"StringAlmostEquals": {"events:source": "a"}})),
        AT + 'Unknown condition operator "StringAlmostEquals"',
    ),
    (
        compact(document(Condition={"StringEquals": {"events:sauce": "a"}})),
        AT + 'Unknown condition key "events:sauce"',
    ),
    (
        compact(document(Condition={"StringEquals": {"s3:prefix": "a"}})),
        AT + 'Unknown condition key "s3:prefix"',
    ),
    (
        compact(document(Condition={"StringEquals": {"events:source": "${aws:usename}"}})),
        AT + 'Unknown policy variable "aws:usename"',
    ),
    (
        compact(document(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/40"}})),
        AT + '"10.0.0.0/40" is not a value that condition operator "IpAddress" compares',
    ),
    (
        compact(document(Condition={"StringEquals": {"events:source": []}})),
        AT + 'The values of condition key "events:source" have to be a string or a list',
    ),
    (compact(document(Condition=["a"])), AT + "Condition has to be an object"),
    (
        compact(document(Condition={"StringEquals": "a"})),
        AT + 'Condition operator "StringEquals" has to hold an object of keys',
    ),
    (compact(document(Effect="allow")), AT + "Effect has to be Allow or Deny"),
    (compact(document(Sid=1)), AT + "Sid has to be a string"),
    (compact(document(Action=[])), AT + "Action has to be a string or a list of strings"),
    (
        compact({"Version": "2012-10-17", "Statement": {**STATEMENT, "Effect": "No"}}),
        "Invalid statement at line 1 column 37: Effect has to be Allow or Deny",
    ),
    (compact(document(Extra=1)), AT + 'Unknown field "Extra"'),
    (
        compact(document(NotAction="events:PutEvents")),
        AT + "Action and NotAction exclude each other",
    ),
    (
        compact(document(Principal=None, NotPrincipal="*")),
        AT + "NotPrincipal is supported with Effect Deny only",
    ),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_an_invalid_policy_is_refused_in_these_words(text: str, message: str) -> None:
    """Each fault has its own text."""
    with pytest.raises(ValidationException) as refused:
        parse_bus_policy(text, bus_arn=BUS)

    assert message == refused.value.message


INVALID_PRINCIPALS = [
    {},
    {"AWS": []},
    {"AWS": "someone"},
    {"AWS": "1234"},
    {"AWS": 111122223333},
    {"AWS": "arn:aws:iam::444455556666:group/g"},
    {"AWS": "arn:aws:iam::444455556666:user/*"},
    {"AWS": "arn:aws:iam::*:root"},
    {"AWS": "arn:aws:sts::444455556666:role/r"},
    {"AWS": "arn:aws:s3:::bucket"},
    {"Service": "*"},
    {"Service": "events"},
    {"Federated": "accounts.google.com"},
    "444455556666",
    ["*"],
]


@pytest.mark.parametrize("principal", INVALID_PRINCIPALS, ids=json.dumps)
def test_what_names_nobody_is_no_principal(principal: object) -> None:
    """A principal is everyone, an account, a user, a role, a session or a service."""
    with pytest.raises(ValidationException) as refused:
        parse_bus_policy(compact(document(Principal=principal)), bus_arn=BUS)

    assert refused.value.message == "Policy contains an invalid principal"


def test_a_refusal_says_the_line_of_the_statement() -> None:
    """The place is the opening brace of the statement, wherever it stands."""
    text = json.dumps(document(Action="s3:GetObject"), indent=2)

    with pytest.raises(ValidationException, match=r"^Invalid statement at line 4 column 5: "):
        parse_bus_policy(text, bus_arn=BUS)


def test_the_place_is_found_behind_other_members_and_long_numbers() -> None:
    """Whatever precedes the statement, its place is told."""
    number = "9" * 5_000
    first = compact(document(Condition={"NumericEquals": {"aws:EpochTime": "N"}})["Statement"][0])
    second = compact({**STATEMENT, "Sid": "two", "Effect": "Maybe"})
    head = '{"Version":"2012-10-17","Id":"a\\"b","Statement":['
    middle = first.replace('"N"', f'["0",{number}]') + ","
    text = head + middle.replace("NumericEquals", "StringEquals") + second + "]}"

    with pytest.raises(ValidationException) as refused:
        parse_bus_policy(text, bus_arn=BUS)

    column = text.index(second) + 1
    expected = f"Invalid statement at line 1 column {column}: Effect has to be Allow or Deny"
    assert expected == refused.value.message


def test_a_rule_on_another_bus_is_not_this_buss_affair() -> None:
    """The resource may be the bus or its own rules, no others."""
    text = compact(document(Resource="arn:aws:events:us-east-1:111122223333:rule/other/r"))

    with pytest.raises(ValidationException, match="is invalid for ARN"):
        parse_bus_policy(text, bus_arn=BUS)


@pytest.mark.parametrize(("blanks", "refused"), [(0, False), (1, True)])
def test_a_policy_has_at_most_10240_characters(blanks: int, *, refused: bool) -> None:
    """The longest policy passes, one character more does not."""
    text = compact(document())
    text += " " * (BUS_POLICY_CHARS_MAX - len(text) + blanks)
    try:
        parse_bus_policy(text, bus_arn=BUS)
        outcome: type[AwsError] | None = None
    except AwsError as error:
        outcome = type(error)

    assert (PolicyLengthExceededException if refused else None) is outcome


def test_normalising_must_not_make_the_policy_too_long() -> None:
    """Bare accounts grow into ARNs; what is stored is what counts."""
    accounts = [f"{number:012}" for number in range(600)]
    text = compact(document(Principal={"AWS": accounts}))

    assert len(text) <= BUS_POLICY_CHARS_MAX
    with pytest.raises(PolicyLengthExceededException):
        parse_bus_policy(text, bus_arn=BUS)


def test_reading_what_was_stored_changes_nothing() -> None:
    """A stored policy is read back as the same policy."""
    for given in ACCEPTED.values():
        policy = parse_bus_policy(json.dumps(given), bus_arn=BUS)

        assert policy == parse_bus_policy(render(policy), bus_arn=BUS)
