"""Questions in DNS's wire format and their answers: bytes in, bytes or nothing out.

Authoritative for one zone, and nothing else: what is outside is REFUSED, nothing is looked up for
anybody (no recursion), no zone is handed out (no transfer), and no answer is much larger than its
question. It must never raise, whatever the bytes, and never answer what is itself an answer, or two
servers would go on for ever.
"""

from __future__ import annotations

import struct
from enum import Enum
from functools import lru_cache
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from farspan.nameserver.zone import NAME_SERVER_LABEL, Absence, Labels, Outlook, Zone

TTL_SECONDS: Final = 5
"""How long an answer may be kept: what is kept longer hides a failover."""

ANY_TTL_SECONDS: Final = 3_600
"""The answer to ANY says nothing, so that it may be kept (RFC 8482, section 4.2)."""

HEADER = struct.Struct("!HHHHHH")
QUERY_BYTES_MAX = 1_232
UDP_BYTES_MAX = 1_232
"""What passes every network in one piece: IPv6's least MTU without headers (DNS flag day 2020)."""
UDP_BYTES_WITHOUT_EDNS = 512
TCP_BYTES_MAX = 65_535

TRANSFERS = frozenset({dns.rdatatype.AXFR, dns.rdatatype.IXFR})
IN = dns.rdataclass.IN


class Carrier(Enum):
    """How a question came, and so how its answer goes."""

    UDP = "one datagram, from an address that nobody has proven"
    TCP = "a stream, so that its sender is where it says"


class Responder:
    """Answers for one zone."""

    def __init__(self, domain: str, zone: Zone, outlook: Outlook) -> None:
        self._domain = dns.name.from_text(domain)
        self._zone = zone
        self._outlook = outlook
        name_server = f"{NAME_SERVER_LABEL}.{domain}."
        self._ns = _record(dns.rdatatype.NS, name_server)
        # The serial says nothing: nobody copies this zone. The last figure is for how long an
        # absence may be kept (RFC 2308).
        timings = f"1 3600 600 86400 {TTL_SECONDS}"
        self._soa = _record(dns.rdatatype.SOA, f"{name_server} hostmaster.{domain}. {timings}")

    def answer(self, wire: bytes, carrier: Carrier) -> bytes | None:
        """Return the answer to a message, None where it deserves none."""
        query = _decoded(wire)
        if not isinstance(query, dns.message.Message):
            return query
        response = self._response(query)
        return _encoded(response, query, carrier)

    def truncated(self, wire: bytes) -> bytes | None:
        """Return the answer that says to ask again over TCP, which proves who asks."""
        query = _decoded(wire)
        if not isinstance(query, dns.message.Message):
            return None
        return _cut(_reply_to(query)).to_wire()

    def _response(self, query: dns.message.Message) -> dns.message.Message:
        response = _reply_to(query)
        question = query.question[0]
        if query.edns > 0:
            response.set_rcode(dns.rcode.BADVERS)
            return response
        if (
            question.rdclass != IN
            or question.rdtype in TRANSFERS
            or not question.name.is_subdomain(self._domain)
        ):
            response.set_rcode(dns.rcode.REFUSED)
            return response
        response.flags |= dns.flags.AA
        self._fill(response, question.name, question.rdtype)
        return response

    def _fill(
        self, response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> None:
        labels = _labels(name, self._domain)
        found = Absence.NO_NAME if labels is None else self._zone.addresses(labels, self._outlook)
        if found is Absence.NOT_KNOWN_YET:
            response.flags &= ~dns.flags.AA
            response.set_rcode(dns.rcode.SERVFAIL)
            return
        records: list[dns.rdata.Rdata] = []
        ttl = TTL_SECONDS
        if found is Absence.NO_NAME:
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif kind == dns.rdatatype.ANY:
            records = [_record(dns.rdatatype.HINFO, 'RFC8482 ""')]
            ttl = ANY_TTL_SECONDS
        elif not labels and kind == dns.rdatatype.SOA:
            records = [self._soa]
        elif not labels and kind == dns.rdatatype.NS:
            records = [self._ns]
        elif isinstance(found, tuple):
            records = _address_records(found, kind)
        # One set for each record: within a set the library shuffles, and here the order tells.
        response.answer = [dns.rrset.from_rdata(name, ttl, record) for record in records]
        if not records:
            response.authority = [dns.rrset.from_rdata(self._domain, TTL_SECONDS, self._soa)]


def _decoded(wire: bytes) -> dns.message.Message | bytes | None:
    """Return the query, or an error's bytes to answer with, or None for what gets no answer."""
    if len(wire) < HEADER.size:
        return None
    _, flags, question_count, *_ = HEADER.unpack_from(wire)
    if flags & dns.flags.QR:
        return None
    if dns.opcode.from_flags(flags) != dns.opcode.QUERY:
        return _error(wire, dns.rcode.NOTIMP)
    # More than one question is no question (RFC 9619).
    if question_count != 1 or len(wire) > QUERY_BYTES_MAX:
        return _error(wire, dns.rcode.FORMERR)
    try:
        query = dns.message.from_wire(wire)
    except (dns.exception.DNSException, ValueError, struct.error):
        return _error(wire, dns.rcode.FORMERR)
    return query if len(query.question) == 1 else _error(wire, dns.rcode.FORMERR)


def _error(wire: bytes, code: dns.rcode.Rcode) -> bytes:
    """Return an error made of the header alone: what follows it could not be read."""
    number, flags, *_ = HEADER.unpack_from(wire)
    kept = flags & (0x7800 | dns.flags.RD)
    return HEADER.pack(number, dns.flags.QR | kept | code, 0, 0, 0, 0)


def _reply_to(query: dns.message.Message) -> dns.message.Message:
    # Without padding: it would make the answer to a small question large.
    return dns.message.make_response(query, our_payload=UDP_BYTES_MAX, pad=0)


def _encoded(response: dns.message.Message, query: dns.message.Message, carrier: Carrier) -> bytes:
    room = TCP_BYTES_MAX
    if carrier is Carrier.UDP:
        told = query.payload if query.edns >= 0 else UDP_BYTES_WITHOUT_EDNS
        room = min(max(told, UDP_BYTES_WITHOUT_EDNS), UDP_BYTES_MAX)
    try:
        return response.to_wire(max_size=room)
    except dns.exception.TooBig:
        return _cut(response).to_wire()


def _cut(response: dns.message.Message) -> dns.message.Message:
    """Return the response with nothing but the word that there is more over TCP."""
    response.answer, response.authority = [], []
    response.flags |= dns.flags.TC
    return response


def _labels(name: dns.name.Name, domain: dns.name.Name) -> Labels | None:
    """Return a name's labels below the domain in lower case, None where no name of ours has such.

    A label can hold any byte, a dot as well, which must not pass for two labels.
    """
    labels = name.relativize(domain).labels
    if any(b"." in label or not label.isascii() for label in labels):
        return None
    return tuple(label.decode("ascii").lower() for label in labels)


def _address_records(
    addresses: tuple[str, ...], kind: dns.rdatatype.RdataType
) -> list[dns.rdata.Rdata]:
    if kind not in (dns.rdatatype.A, dns.rdatatype.AAAA):
        return []
    wants_v6 = kind == dns.rdatatype.AAAA
    return [_record(kind, text) for text in addresses if (":" in text) == wants_v6]


@lru_cache(maxsize=1_024)
def _record(kind: dns.rdatatype.RdataType, text: str) -> dns.rdata.Rdata:
    """Return a record's content. Records are frozen, so that one serves all answers."""
    return dns.rdata.from_text(IN, kind, text)
