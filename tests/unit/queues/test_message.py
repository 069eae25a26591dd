"""What a message may be: rules, digests, receipt handles."""

from __future__ import annotations

import base64
import hashlib

import pytest

from farspan.errors import AwsError, ReceiptHandleIsInvalid
from farspan.model.queue import Message, MessageAttribute
from farspan.queues.message import (
    CLAIM_LIMIT,
    ReceiptHandle,
    check_message,
    decode_message,
    digest_attributes,
    digest_body,
    encode_message,
    message_bytes,
    read_receipt_handle,
    select_attributes,
)

LIST = "queue/000000000000/orders/1"
SIZE_MAX = 1_048_576


def text(value: str | None, data_type: str = "String") -> MessageAttribute:
    """Return an attribute with a text."""
    return MessageAttribute(data_type=data_type, string_value=value)


def binary(value: bytes | None, data_type: str = "Binary") -> MessageAttribute:
    """Return an attribute with bytes."""
    return MessageAttribute(data_type=data_type, binary_value=value)


def message(body: str = "x", **attributes: MessageAttribute) -> Message:
    """Return a message."""
    return Message(
        message_id="id", body=body, sender_id="000000000000", sent_at=1.5, attributes=attributes
    )


def test_a_receipt_handle_reads_back() -> None:
    """A receipt handle's text gives the handle again."""
    handle = ReceiptHandle(LIST, b"\x00" * 16, 7)

    assert handle == read_receipt_handle(str(handle), LIST)


@pytest.mark.parametrize(
    "garbled",
    [
        pytest.param("", id="empty"),
        pytest.param("not base64!", id="not base64"),
        pytest.param("ünïcode", id="not ASCII"),
        pytest.param(base64.b64encode(b"x" * 40).decode(), id="other bytes"),
        pytest.param(str(ReceiptHandle(LIST, b"\x00" * 16, 7))[:-4], id="cut short"),
        pytest.param("A" + str(ReceiptHandle(LIST, b"\x00" * 16, 7))[1:], id="one letter changed"),
        pytest.param(str(ReceiptHandle(LIST + "1", b"\x00" * 16, 7)), id="another queue's"),
    ],
)
def test_a_garbled_receipt_handle_is_refused(garbled: str) -> None:
    """A text that is no receipt handle of the queue is refused as SQS refuses it."""
    with pytest.raises(ReceiptHandleIsInvalid):
        read_receipt_handle(garbled, LIST)


@pytest.mark.parametrize("claim", [0, -1, CLAIM_LIMIT, 2**63, 2**64 - 1])
def test_a_receipt_handle_of_no_claim_is_refused(claim: int) -> None:
    """A number that no receive ever gave is refused before it gets to the store."""
    with pytest.raises(ReceiptHandleIsInvalid):
        read_receipt_handle(str(ReceiptHandle(LIST, b"\x00" * 16, claim)), LIST)


def test_a_message_is_kept_whole() -> None:
    """A message reads back from a timer's body as it was."""
    kept = message("grüß", a=text("b"), c=binary(b"\x00\xff"))

    assert kept == decode_message(encode_message(kept))


def test_the_digest_of_a_body_is_its_md5() -> None:
    """A body's digest is the MD5 of its UTF-8 form (RFC 1321, appendix A.5)."""
    assert digest_body("abc") == "900150983cd24fb0d6963f7d28e17f72"


def test_the_digest_of_no_attributes_is_none() -> None:
    """A message without attributes has no digest of them."""
    assert digest_attributes({}) is None


def test_the_digest_of_attributes_is_of_their_documented_layout() -> None:
    """Name, type and value go in with their lengths, and a byte that tells text from bytes."""
    layout = (
        b"\x00\x00\x00\x01a\x00\x00\x00\x06String\x01\x00\x00\x00\x02\xc3\xbc"
        b"\x00\x00\x00\x01b\x00\x00\x00\x06Binary\x02\x00\x00\x00\x01\xff"
    )
    attributes = {"b": binary(b"\xff"), "a": text("ü")}

    assert digest_attributes(attributes) == hashlib.md5(layout).hexdigest()


def test_the_digest_of_attributes_does_not_depend_on_their_order() -> None:
    """Attributes are digested by name, whatever the order in which they were given."""
    one, two = text("1"), binary(b"2")

    assert digest_attributes({"a": one, "b": two}) == digest_attributes({"b": two, "a": one})


def test_a_message_counts_body_names_types_and_values() -> None:
    """A message's size covers its body and every part of its attributes, in UTF-8."""
    assert message_bytes(message("ü", name=text("abc"))) == 2 + 4 + 6 + 3


def test_the_size_limit_has_two_sides() -> None:
    """A message of exactly the limit passes, and one byte more does not."""
    check_message(message("x" * 1_024), 1_024)

    with pytest.raises(AwsError, match="shorter than 1024 bytes"):
        check_message(message("x" * 1_025), 1_024)


@pytest.mark.parametrize("body", ["\t\n\r ~", "\ud7ff\ue000\ufffd", "\U00010000\U0010ffff"])
def test_allowed_characters_pass(body: str) -> None:
    """Every end of the ranges that SQS lists is allowed."""
    check_message(message(body), SIZE_MAX)


@pytest.mark.parametrize("body", ["\x00", "a\x0b", "\x1f", "\ud800", "\ufffe", "\uffff"])
@pytest.mark.parametrize("place", ["body", "value", "type"])
def test_forbidden_characters_are_refused(body: str, place: str) -> None:
    """A character outside SQS's ranges is refused wherever it stands."""
    messages = {
        "body": message(body),
        "value": message(a=text(body)),
        "type": message(a=text("x", f"String.{body}")),
    }
    with pytest.raises(AwsError) as refusal:
        check_message(messages[place], SIZE_MAX)

    assert refusal.value.code == "InvalidMessageContents"


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("plain", text("x")),
        ("with.period-and_more", text("x", "String.custom")),
        ("n", text("-12.5e10", "Number")),
        ("n", text("0." + "0" * 40, "Number.int")),
        ("n", text("1e126", "Number")),
        ("n", text("1E-128", "Number")),
        ("n", text("9" * 38, "Number")),
        ("b", binary(b"\x00", "Binary.png")),
        ("a" * 256, text("x")),
        ("awsome", text("x")),
    ],
)
def test_valid_attributes_pass(name: str, attribute: MessageAttribute) -> None:
    """Names and values that SQS documents as valid are taken."""
    check_message(message(**{name: attribute}), SIZE_MAX)


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        pytest.param("", text("x"), id="no name"),
        pytest.param("a" * 257, text("x"), id="long name"),
        pytest.param(".a", text("x"), id="starts with a period"),
        pytest.param("a.", text("x"), id="ends with a period"),
        pytest.param("a..b", text("x"), id="two periods"),
        pytest.param("a b", text("x"), id="space"),
        pytest.param("AWS.a", text("x"), id="reserved"),
        pytest.param("amazon.a", text("x"), id="reserved in lower case"),
        pytest.param("a", text("x", ""), id="no type"),
        pytest.param("a", text("x", "Strings"), id="unknown type"),
        pytest.param("a", text("x", "String."), id="empty custom type"),
        pytest.param("a", text("x", "String." + "x" * 250), id="long type"),
        pytest.param("a", text(None), id="no value"),
        pytest.param("a", text(""), id="empty value"),
        pytest.param("a", binary(b""), id="empty bytes"),
        pytest.param("a", text("x", "Binary"), id="text as bytes"),
        pytest.param("a", binary(b"x", "String"), id="bytes as text"),
        pytest.param(
            "a",
            MessageAttribute(data_type="String", string_value="x", binary_value=b"x"),
            id="two values",
        ),
        pytest.param("a", text("one", "Number"), id="a word"),
        pytest.param("a", text("1e127", "Number"), id="too great"),
        pytest.param("a", text("1e-129", "Number"), id="too small"),
        pytest.param("a", text("9" * 39, "Number"), id="too many digits"),
        pytest.param("a", text("NaN", "Number"), id="not a number"),
        pytest.param("a", text("\u0663", "Number"), id="other digits"),
    ],
)
def test_invalid_attributes_are_refused(name: str, attribute: MessageAttribute) -> None:
    """Names and values that SQS documents as invalid are refused."""
    with pytest.raises(AwsError) as refusal:
        check_message(message(**{name: attribute}), SIZE_MAX)

    assert refusal.value.code == "InvalidParameterValue"


def test_eleven_attributes_are_too_many() -> None:
    """Ten attributes pass, an eleventh does not."""
    attributes = {f"a{n}": text("x") for n in range(10)}
    check_message(message(**attributes), SIZE_MAX)

    with pytest.raises(AwsError, match=r"\[11\] exceeds"):
        check_message(message(**attributes, last=text("x")), SIZE_MAX)


def test_an_empty_body_is_refused() -> None:
    """A message has at least one character."""
    with pytest.raises(AwsError, match="MessageBody"):
        check_message(message(""), SIZE_MAX)


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ((), set()),
        (("All",), {"a", "bar", "bar.one", "bar.two"}),
        ((".*",), {"a", "bar", "bar.one", "bar.two"}),
        (("a", "missing"), {"a"}),
        (("bar.*",), {"bar", "bar.one", "bar.two"}),
        (("a", "bar.one"), {"a", "bar.one"}),
    ],
)
def test_attributes_are_selected_as_asked(wanted: tuple[str, ...], names: set[str]) -> None:
    """ReceiveMessage returns the attributes named, by prefix, or all."""
    attributes = {name: text("x") for name in ("a", "bar", "bar.one", "bar.two")}

    assert names == set(select_attributes(attributes, wanted))
