"""Hosts in network namespaces of a test's own, on a switch that this process is.

Frames go from one host to another through `Switch`, which drops, loses, or answers them with a
reset as the test wants: each direction by itself, which routes cannot do. Needs root and Linux.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ETH_P_ALL = 0x0003
SIOCETHTOOL = 0x8946
OFFLOADS = (0x17, 0x1F, 0x24, 0x2C, 0x19)
"""ETHTOOL_STXCSUM, STSO, SGSO, SGRO, SSG: what leaves a host has to be a whole, checked frame."""

FRAME_BYTES_MAX = 65_536
IPV4, TCP = 0x0800, 6
ARP = 0x0806
RST_ACK = 0x14
FLAGS_RST, FLAG_SYN, FLAG_FIN = 0x04, 0x02, 0x01


def why_not() -> str | None:
    """Return why there can be no network here, None where there can."""
    if os.geteuid() != 0:
        return "only root makes network namespaces"
    if shutil.which("ip") is None:
        return "there is no `ip` command (iproute2)"
    name = f"fs{os.getpid()}-try"
    made = _ip("netns", "add", name, check=False)
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    veth = _ip("link", "add", "fstry0", "type", "veth", "peer", "name", "fstry1", check=False)
    _ip("link", "del", "fstry0", check=False)
    _ip("netns", "del", name)
    return None if veth.returncode == 0 else f"no veth pair can be made: {veth.stderr.strip()}"


def _ip(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True)


def _without_offloads(interface: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
            with contextlib.suppress(OSError):  # not every kernel has every one of them
                fcntl.ioctl(control, SIOCETHTOOL, request)


@dataclass(frozen=True)
class Host:
    """A host: its namespace, its address, and its end of the cable in this process."""

    name: str
    namespace: str
    address: str
    port: socket.socket

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the command that runs another on this host."""
        return ["ip", "netns", "exec", self.namespace, *arguments]


@dataclass
class Rules:
    """What the switch does with frames, by (source, target): nothing said means that they pass."""

    dropped: set[tuple[str, str]] = field(default_factory=set)
    reset: set[tuple[str, str]] = field(default_factory=set)
    loss: dict[tuple[str, str], float] = field(default_factory=dict)


class Switch:
    """Carries frames between the hosts on a thread of its own, by rules that may change."""

    def __init__(self, hosts: Sequence[Host], seed: int) -> None:
        self._hosts = {host.name: host for host in hosts}
        self._by_mac: dict[bytes, str] = {}
        self._random = random.Random(seed)
        self._stop_reading, self._stop = os.pipe()
        self.rules = Rules()
        self.frame_count = self.dropped_count = 0
        self._thread = threading.Thread(target=self._carry, name="switch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Carry nothing more."""
        os.write(self._stop, b".")
        self._thread.join()
        os.close(self._stop)
        os.close(self._stop_reading)

    def pairs(self, name: str, *, both_ways: bool = True) -> set[tuple[str, str]]:
        """Return every way out of a host, and into it as well."""
        out = {(name, other) for other in self._hosts if other != name}
        return out | {(b, a) for a, b in out} if both_ways else out

    def _carry(self) -> None:
        ports = {host.port.fileno(): host.name for host in self._hosts.values()}
        poll = select.poll()
        for fileno in (*ports, self._stop_reading):
            poll.register(fileno, select.POLLIN)
        while True:
            for fileno, _ in poll.poll():
                if fileno == self._stop_reading:
                    return
                with contextlib.suppress(OSError):  # an interface that goes away with its host
                    self._take(ports[fileno])

    def _take(self, source: str) -> None:
        frame, address = self._hosts[source].port.recvfrom(FRAME_BYTES_MAX)
        if address[2] == socket.PACKET_OUTGOING:
            return
        self._by_mac[frame[6:12]] = source
        known = self._by_mac.get(frame[:6])
        for target in [known] if known else [name for name in self._hosts if name != source]:
            self._pass_on(source, target, frame)

    def _pass_on(self, source: str, target: str, frame: bytes) -> None:
        way, rules = (source, target), self.rules
        self.frame_count += 1
        if way in rules.dropped or self._random.random() < rules.loss.get(way, 0.0):
            self.dropped_count += 1
            return
        if way in rules.reset:
            answer = reset_of(frame)
            if answer is not None:
                self.dropped_count += 1
                self._hosts[source].port.send(answer)
                return
        self._hosts[target].port.send(frame)


def reset_of(frame: bytes) -> bytes | None:
    """Return the reset that answers a frame with a TCP segment (RFC 9293, 3.10.7.1), else None."""
    if int.from_bytes(frame[12:14], "big") != IPV4 or frame[23] != TCP:
        return None
    header_bytes = (frame[14] & 0x0F) * 4
    total = int.from_bytes(frame[16:18], "big")
    segment = frame[14 + header_bytes : 14 + total]
    flags = segment[13]
    if flags & FLAGS_RST:
        return None
    length = total - header_bytes - (segment[12] >> 4) * 4
    length += bool(flags & FLAG_SYN) + bool(flags & FLAG_FIN)
    sequence, acknowledged = struct.unpack("!II", segment[4:12])
    source, target = frame[26:30], frame[30:34]
    answer = struct.pack(
        "!2s2sIIBBHHH",
        segment[2:4],
        segment[:2],
        acknowledged,
        (sequence + length) & 0xFFFFFFFF,
        5 << 4,
        RST_ACK,
        0,
        0,
        0,
    )
    pseudo = target + source + struct.pack("!BBH", 0, TCP, len(answer))
    answer = answer[:16] + checksum(pseudo + answer) + answer[18:]
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, TCP, 0, target, source)
    head = head[:10] + checksum(head) + head[12:]
    return frame[6:12] + frame[:6] + frame[12:14] + head + answer


def checksum(data: bytes) -> bytes:
    """Return the Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF)


@contextlib.contextmanager
def network(names: Sequence[str], seed: int = 1) -> Iterator[tuple[dict[str, Host], Switch]]:
    """Make hosts `10.77.0.1`, `.2` and so on, on one switch; take everything away at the end."""
    hosts: list[Host] = []
    switch: Switch | None = None
    try:
        for number, name in enumerate(names, start=1):
            hosts.append(_host(name, number))
        switch = Switch(hosts, seed)
        yield {host.name: host for host in hosts}, switch
    finally:
        if switch is not None:
            switch.close()
        for host in hosts:
            host.port.close()
            _ip("netns", "del", host.namespace, check=False)


def _host(name: str, number: int) -> Host:
    namespace = f"fs{os.getpid()}-{name}"
    here, there = f"fs{os.getpid()}v{number}", f"fs{os.getpid()}w{number}"
    address = f"10.77.0.{number}"
    _ip("netns", "add", namespace)
    try:
        _ip("link", "add", here, "type", "veth", "peer", "name", there)
        for interface in (here, there):
            _without_offloads(interface)
        Path(f"/proc/sys/net/ipv6/conf/{here}/disable_ipv6").write_text("1")
        _ip("link", "set", there, "netns", namespace)
        _ip("-n", namespace, "addr", "add", f"{address}/24", "dev", there)
        _ip("-n", namespace, "link", "set", there, "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("link", "set", here, "up")
        port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        port.bind((here, 0))
    except BaseException:
        _ip("netns", "del", namespace, check=False)
        raise
    return Host(name, namespace, address, port)
