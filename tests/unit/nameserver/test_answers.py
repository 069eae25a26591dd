"""DNS on the wire: what is asked, what comes back, and that nothing makes it raise."""

from __future__ import annotations

import struct
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.update
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from farspan.nameserver.answers import TTL_SECONDS, UDP_BYTES_MAX, Carrier, Responder
from farspan.nameserver.zone import Outlook, Zone

ENDPOINT = "abcdefghij.veo.endpoint.events.amazonaws.com"
ours = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def ask(
    responder: Responder, name: str, kind: str = "A", carrier: Carrier = Carrier.UDP, **more: Any
) -> dns.message.Message:
    """Return the answer to a question."""
    query = dns.message.make_query(name, kind, **more)
    answer = responder.answer(query.to_wire(), carrier)
    assert answer is not None
    response = dns.message.from_wire(answer)
    assert query.is_response(response) or response.rcode() != dns.rcode.NOERROR
    return response


def texts(response: dns.message.Message) -> list[str]:
    """Return the answer's records in their order."""
    return [record.to_text() for rrset in response.answer for record in rrset]


def test_an_endpoint_has_the_addresses_in_order(responder: Responder, world: Any) -> None:
    """A records of the nodes, the Region in use first, for five seconds, authoritatively."""
    world.in_use["abcdefghij.veo"] = "us-west-2"
    for _ in range(10):  # the library shuffles what is one set
        response = ask(responder, ENDPOINT)
        assert texts(response) == ["10.0.2.1", "10.0.0.1", "10.0.1.1"]

    assert {rrset.ttl for rrset in response.answer} == {TTL_SECONDS}
    assert response.flags & dns.flags.AA
    assert not response.flags & dns.flags.RA


def test_aaaa_has_the_ipv6_addresses(responder: Responder) -> None:
    """A node may have both kinds."""
    assert texts(ask(responder, ENDPOINT, "AAAA")) == ["fd00::1"]


def test_a_name_without_that_kind_is_no_data(responder: Responder) -> None:
    """The name is there: no error, no answer, and for how long that holds."""
    response = ask(responder, "events.us-west-2.amazonaws.com", "AAAA")

    assert response.rcode() == dns.rcode.NOERROR
    assert response.answer == []
    (soa,) = response.authority
    assert (soa.rdtype, soa.ttl, soa[0].minimum) == (dns.rdatatype.SOA, TTL_SECONDS, TTL_SECONDS)


def test_a_name_that_is_not_there_is_denied(responder: Responder) -> None:
    """NXDOMAIN with the zone's SOA."""
    response = ask(responder, "s3.us-east-1.amazonaws.com")

    assert response.rcode() == dns.rcode.NXDOMAIN
    assert response.flags & dns.flags.AA
    assert [rrset.rdtype for rrset in response.authority] == [dns.rdatatype.SOA]


def test_what_is_not_known_yet_is_for_another_server_or_time(
    responder: Responder, world: Any
) -> None:
    """SERVFAIL is kept by nobody as the truth."""
    world.knows_every_region = False
    response = ask(responder, "klmnopqrst.veo.endpoint.events.amazonaws.com")

    assert response.rcode() == dns.rcode.SERVFAIL
    assert not response.flags & dns.flags.AA


@pytest.mark.parametrize("name", ["example.org", "com", ".", "amazonaws.com.cn", "xamazonaws.com"])
def test_outside_of_the_zone_is_refused(responder: Responder, name: str) -> None:
    """It looks up nothing for anybody."""
    response = ask(responder, name)

    assert response.rcode() == dns.rcode.REFUSED
    assert (response.answer, response.authority) == ([], [])
    assert not response.flags & dns.flags.AA


@pytest.mark.parametrize("kind", ["AXFR", "IXFR"])
def test_the_zone_is_handed_to_nobody(responder: Responder, kind: str) -> None:
    """Transfers are refused, over TCP as well."""
    query = dns.message.make_query("amazonaws.com", kind)
    answer = responder.answer(query.to_wire(), Carrier.TCP)

    assert answer is not None
    assert dns.message.from_wire(answer).rcode() == dns.rcode.REFUSED


def test_other_classes_are_refused(responder: Responder) -> None:
    """`version.bind` and its like say nothing."""
    response = ask(responder, "amazonaws.com", "TXT", rdclass=dns.rdataclass.CH)

    assert response.rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("name", [ENDPOINT, "amazonaws.com", "veo.endpoint.events.amazonaws.com"])
def test_any_is_answered_with_nothing_worth_asking_for(responder: Responder, name: str) -> None:
    """One HINFO record (RFC 8482)."""
    assert texts(ask(responder, name, "ANY")) == ['"RFC8482" ""']


def test_the_zone_says_who_serves_it(responder: Responder) -> None:
    """SOA, NS, and the name server's address."""
    (soa,) = texts(ask(responder, "amazonaws.com", "SOA"))

    assert soa.startswith("ns.amazonaws.com. hostmaster.amazonaws.com. ")
    assert texts(ask(responder, "amazonaws.com", "NS")) == ["ns.amazonaws.com."]
    assert texts(ask(responder, "ns.amazonaws.com")) == ["10.0.0.53"]


@given(mask=st.integers(0, 2 ** len(ENDPOINT) - 1))
@ours
def test_case_does_not_matter_and_comes_back(responder: Responder, mask: int) -> None:
    """A resolver that mixes cases (0x20) gets its own spelling back, and the same answer."""
    spelt = "".join(c.upper() if mask >> place & 1 else c for place, c in enumerate(ENDPOINT))
    response = ask(responder, spelt)

    assert response.question[0].name.to_text(omit_final_dot=True) == spelt
    assert texts(response) == ["10.0.1.1", "10.0.0.1", "10.0.2.1"]


def test_a_dot_within_a_label_is_no_second_label(responder: Responder) -> None:
    """`abcdefghij.veo` as one label is another name than as two."""
    name = dns.name.Name((b"abcdefghij.veo", b"endpoint", b"events", b"amazonaws", b"com", b""))
    answer = responder.answer(dns.message.make_query(name, "A").to_wire(), Carrier.UDP)

    assert answer is not None
    assert dns.message.from_wire(answer).rcode() == dns.rcode.NXDOMAIN


# --- EDNS and size ---------------------------------------------------------------------------


def test_edns_is_answered_with_edns(responder: Responder) -> None:
    """And not where it was not used."""
    assert ask(responder, ENDPOINT).edns == -1
    response = ask(responder, ENDPOINT, use_edns=0, payload=4_096)

    assert (response.edns, response.payload) == (0, UDP_BYTES_MAX)


def test_another_version_of_edns_is_named(responder: Responder) -> None:
    """BADVERS, with the version that is spoken (RFC 6891)."""
    response = ask(responder, ENDPOINT, use_edns=1)

    assert (response.rcode(), response.edns, response.answer) == (dns.rcode.BADVERS, 0, [])


def test_what_does_not_fit_a_datagram_is_asked_again_over_tcp(
    zone: Zone, world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TC and no half answer over UDP; the whole over TCP."""
    many = tuple(f"10.9.{i // 250}.{i % 250}" for i in range(100))
    monkeypatch.setattr(Zone, "addresses", lambda *_: many)
    responder = Responder("amazonaws.com", zone, world.outlook)
    short = ask(responder, ENDPOINT)

    assert short.flags & dns.flags.TC
    assert short.answer == []
    assert tuple(texts(ask(responder, ENDPOINT, carrier=Carrier.TCP))) == many


@pytest.mark.parametrize("kind", ["A", "AAAA", "ANY", "SOA", "NS", "TXT", "HTTPS", "DS"])
@pytest.mark.parametrize("name", [ENDPOINT, "amazonaws.com", "no.amazonaws.com", "no.org"])
@pytest.mark.parametrize("edns", [{}, {"use_edns": 0}, {"use_edns": 0, "pad": 128}])
def test_no_answer_is_worth_forging_a_question_for(
    responder: Responder, name: str, kind: str, edns: dict[str, int]
) -> None:
    """With headers of IP and UDP counted, an answer is less than twice its question."""
    query = dns.message.make_query(name, kind, **edns).to_wire()
    answer = responder.answer(query, Carrier.UDP)
    headers = 28

    assert answer is not None
    assert len(answer) + headers < 2 * (len(query) + headers)


# --- what is no question ---------------------------------------------------------------------


def test_an_answer_is_never_answered(responder: Responder) -> None:
    """Two servers would go on for ever."""
    query = dns.message.make_query(ENDPOINT, "A")

    assert responder.answer(dns.message.make_response(query).to_wire(), Carrier.UDP) is None


def test_other_opcodes_are_not_there(responder: Responder) -> None:
    """Updates and notifications: NOTIMP."""
    for message in (dns.update.UpdateMessage("amazonaws.com"), dns.message.make_query("a.", "A")):
        if not isinstance(message, dns.update.UpdateMessage):
            message.set_opcode(dns.opcode.NOTIFY)
        answer = responder.answer(message.to_wire(), Carrier.UDP)

        assert answer is not None
        assert dns.message.from_wire(answer).rcode() == dns.rcode.NOTIMP


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_one_question_or_none_is_answered(responder: Responder, count: int) -> None:
    """FORMERR for no question and for several (RFC 9619)."""
    question = dns.message.make_query(ENDPOINT, "A").to_wire()[12:]
    wire = struct.pack("!HHHHHH", 7, 0x0100, count, 0, 0, 0) + question * count
    answer = responder.answer(wire, Carrier.UDP)

    assert answer == struct.pack("!HHHHHH", 7, 0x8101, 0, 0, 0, 0)


def test_a_message_that_is_too_long_is_malformed(responder: Responder) -> None:
    """No question is that long."""
    wire = dns.message.make_query(ENDPOINT, "A", use_edns=0, pad=2_048).to_wire(max_size=4_096)
    answer = responder.answer(wire, Carrier.TCP)

    assert answer is not None
    assert dns.message.from_wire(answer).rcode() == dns.rcode.FORMERR


def test_a_signed_question_is_malformed(responder: Responder) -> None:
    """There are no keys here; what comes with a signature is not taken without it."""
    keyring = {dns.name.from_text("k."): b"secret"}
    query = dns.message.make_query(ENDPOINT, "A")
    query.use_tsig(keyring)
    answer = responder.answer(query.to_wire(), Carrier.UDP)

    assert answer is not None
    assert dns.message.from_wire(answer).rcode() == dns.rcode.FORMERR


VALID = dns.message.make_query(ENDPOINT, "A", use_edns=0).to_wire()


@given(wire=st.binary(max_size=1_400))
@example(wire=b"")
@example(wire=VALID[:12])
@example(wire=VALID[:-1])
@example(wire=VALID + b"\0")
@ours
def test_no_bytes_make_it_raise(responder: Responder, wire: bytes) -> None:
    """Garbage gets an error, or nothing, never an address."""
    for carrier in Carrier:
        answer = responder.answer(wire, carrier)
        assert answer is None or len(answer) >= 12
    responder.truncated(wire)


@given(position=st.integers(0, len(VALID) - 1), byte=st.integers(0, 255), cut=st.integers(0, 20))
@settings(ours, max_examples=300)
def test_no_damaged_question_makes_it_raise(
    responder: Responder, position: int, byte: int, cut: int
) -> None:
    """One byte changed, or the end lost: whatever comes back has the question's own number."""
    wire = bytearray(VALID)
    wire[position] = byte
    damaged = bytes(wire[: len(wire) - cut])
    answer = responder.answer(damaged, Carrier.UDP)

    assert answer is None or answer[:2] == damaged[:2]


def test_a_truncated_answer_says_nothing_but_that(responder: Responder) -> None:
    """The question and TC, as small as the question."""
    answer = responder.truncated(VALID)

    assert answer is not None
    response = dns.message.from_wire(answer)
    assert response.flags & dns.flags.TC
    assert (response.answer, response.authority) == ([], [])
    assert len(answer) <= len(VALID)


def test_a_zone_of_ones_own(zone: Zone) -> None:
    """Any domain will do: the SDKs' names are put below it."""
    outlook = Outlook(
        region_in_use={"x.veo": "us-west-2"}.get,
        is_heard=lambda _: True,
        knows_every_region=lambda: True,
    )
    responder = Responder("aws.shop.internal", zone, outlook)

    assert texts(ask(responder, "x.veo.endpoint.events.aws.shop.internal"))[0] == "10.0.2.1"
    assert ask(responder, "amazonaws.com").rcode() == dns.rcode.REFUSED
