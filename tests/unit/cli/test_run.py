"""`farspan serve`, `edge` and `dns`: what keeps them from starting is a sentence."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from farspan.cli import main, ports
from farspan.cli.deployment import prepare
from farspan.cli.ports import PortBusy, bind

REGIONS = ("us-east-1", "us-west-2")


@pytest.fixture(autouse=True)
def process_state() -> Iterator[None]:
    """Put back what a command sets for its whole process."""
    mask, interval = os.umask(0o022), sys.getswitchinterval()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    os.umask(mask)
    sys.setswitchinterval(interval)
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data directory with a configuration, without DNS mode."""
    prepare(tmp_path, REGIONS, 4566, auth=False)
    return tmp_path


def run(*words: str, data: Path) -> tuple[int, str]:
    """Run a command; return its exit code and all that it said."""
    done = CliRunner().invoke(main, [*words, "--data", str(data)])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "has no [dns]. Give --zone"),
        (("--zone", "Not A Zone"), "is no domain"),
        (("--zone", "a.b", "--listen", "53"), "is no address and port"),
        (("--zone", "a.b", "--listen", "192.0.2.1:5353"), "192.0.2.1 is no address of this"),
    ],
)
def test_dns_says_what_it_lacks(data: Path, words: tuple[str, ...], said: str) -> None:
    """The zone, a good address, and one of this machine."""
    code, output = run("dns", *words, data=data)

    assert code == 1
    assert said in output
    assert "Traceback" not in output


def test_dns_says_where_it_cannot_write(data: Path) -> None:
    """Its own directory, which may be another user's."""
    (data / "_dns").write_text("in the way")
    code, output = run("dns", "--zone", "a.b", data=data)

    assert code == 1
    assert f"{data / '_dns'} cannot be made" in output


def test_a_node_without_a_certificate_does_not_start(tmp_path: Path) -> None:
    """Half of what the file says would be a surprise at the first client."""
    prepare(tmp_path, REGIONS, 4566, auth=False, zone="amazonaws.com")
    code, output = run("edge", data=tmp_path)

    assert code == 1
    assert "farspan ca init" in output


def test_a_port_of_the_systems_says_what_gives_it() -> None:
    """Ports 53 and 443 are what DNS mode needs."""
    said = ports._why_not(OSError(errno.EACCES, "Permission denied"), 53, "127.0.0.1")

    assert "CAP_NET_BIND_SERVICE" in said
    assert "ip_unprivileged_port_start" in said


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_is_taken_is_named(kind: socket.SocketKind) -> None:
    """TCP and UDP alike."""
    with bind(0, kind=kind) as taken:
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortBusy, match=f"Port {port} on 127.0.0.1 is in use"):
            bind(port, kind=kind)


def test_ipv6_is_bound_as_such() -> None:
    """An address with colons; and it leaves IPv4 alone."""
    if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
        pytest.skip("there is no IPv6 here")
    with bind(0, "::1") as bound:
        assert bound.family == socket.AF_INET6
        assert bound.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
