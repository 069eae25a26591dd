"""The sections `[dns]` and `[tls]` of the configuration: what they hold, and what is wrong in them.

`farspan.config` reads, checks and writes them with the rest. No I/O.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from ipaddress import ip_address

import msgspec

ZONE_NAME = re.compile(
    r"(?=.{1,190}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?",
    re.ASCII,
)
"""A domain in lower case, short enough for an EndpointId or a service's name before it."""

SOCKET_ADDRESS = re.compile(
    r"(\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+)):(?P<port>\d{1,5})", re.ASCII
)
PORT_MAX = 65_535


class DnsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `farspan dns` answers for, and where.

    `zone` is `amazonaws.com`, served to one's own machines only, or a domain of one's own.
    """

    zone: str
    listen: str = "127.0.0.1:5353"
    answers_per_second: float = 100.0

    @property
    def socket_address(self) -> tuple[str, int]:
        """The address and port of `listen`."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class TlsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where nodes serve HTTPS besides HTTP, and with what.

    `directory`, beside the configuration, has NODE.pem and NODE.key for each node, as `farspan ca`
    writes them.
    """

    directory: str = "tls"
    port: int = 443


def is_address(text: str) -> bool:
    """Return whether a text is an IP address, without a zone."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_socket_address(text: str) -> bool:
    """Return whether a text is an IP address, IPv6 in brackets, and a port."""
    matched = SOCKET_ADDRESS.fullmatch(text)
    if matched is None or int(matched["port"]) > PORT_MAX:
        return False
    return is_address(matched["v6"] or matched["v4"])


def fault_in(
    dns: DnsConfig | None, tls: TlsConfig | None, addresses: Mapping[str, tuple[str, ...]]
) -> str | None:
    """Return what is wrong with the sections, None where nothing is.

    `addresses` are where clients reach each node, by its name.
    """
    if tls is not None and not 0 < tls.port <= PORT_MAX:
        return f"tls.port must be a number from 1 to {PORT_MAX}."
    return None if dns is None else _fault_of(dns, addresses)


def _fault_of(dns: DnsConfig, addresses: Mapping[str, tuple[str, ...]]) -> str | None:
    if not ZONE_NAME.fullmatch(dns.zone):
        return f"dns.zone `{dns.zone}` is no domain such as amazonaws.com."
    if not is_socket_address(dns.listen):
        return f"dns.listen `{dns.listen}` is no address and port such as 127.0.0.1:53."
    if not 1 <= dns.answers_per_second < math.inf:
        return "dns.answers_per_second must be a number of 1 or more."
    unknown = next((name for name, reached_at in addresses.items() if not reached_at), None)
    if unknown is not None:
        return (
            f"DNS mode has to know where node {unknown} is: add addresses = "
            '["10.0.0.1"] to it, as clients reach it.'
        )
    return None


def rendered(dns: DnsConfig | None, tls: TlsConfig | None) -> list[str]:
    """Return the sections as lines of TOML, nothing of those that are not there.

    Whatever passed `fault_in` needs no escape but the directory.
    """
    lines: list[str] = []
    if dns is not None:
        lines += ["", "[dns]", f'zone = "{dns.zone}"', f'listen = "{dns.listen}"']
        lines += [f"answers_per_second = {dns.answers_per_second}"]
    if tls is not None:
        directory = msgspec.json.encode(tls.directory).decode().replace("\x7f", "\\u007f")
        lines += ["", "[tls]", f"directory = {directory}", f"port = {tls.port}"]
    return lines
