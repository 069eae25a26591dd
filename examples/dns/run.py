"""Runs application.py, which knows no URL, against a deployment here, and kills the primary Region.

The process gets a network and files of its own (Linux namespaces), so that nothing outside of it
notices: there, `farspan up --dns` answers DNS at 127.0.0.1:53 and serves HTTPS at port 443 of
127.0.0.2 to 127.0.0.4, and /etc/resolv.conf points there. There is no way out to AWS itself.

Needs root, or a kernel that lets users make namespaces. Exit codes: 0 every call was answered and
every event arrived, 1 not so, 77 skipped, with the reason.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FARSPAN = [sys.executable, "-m", "farspan"]
APPLICATION = Path(__file__).parent / "application.py"
INSIDE = "FARSPAN_EXAMPLE_INSIDE"
SKIPPED = 77
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1
SECONDS, KILL_AFTER, RESTART_AFTER = 6.0, 1.5, 1.0
READY_SECONDS_MAX = 60.0


def enter_namespaces() -> int:
    """Run this script again in namespaces of its own. Returns its exit code, or SKIPPED."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return skip("there is no unshare (util-linux) here")
    command = [unshare, "--mount", "--net"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode != 0:
        return skip("this user may make no namespaces; run it as root")
    script = [*command, sys.executable, __file__]
    return subprocess.run(script, env={**os.environ, INSIDE: "1"}, check=False).returncode


def skip(reason: str) -> int:
    """Say why the example does not run here."""
    print(f"SKIPPED: {reason}")
    return SKIPPED


def use_own_resolver(directory: Path) -> None:
    """Bring the loopback interface up, and have this process's system resolver ask 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH22x", b"lo", IFF_UP))
    files = {
        "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:5\n",
        "/etc/nsswitch.conf": "hosts: files dns\n",
    }
    for place, content in files.items():
        own = directory / Path(place).name
        own.write_text(content)
        subprocess.run(["mount", "--bind", own, Path(place).resolve()], check=True)


@contextmanager
def deployment(data: Path) -> Iterator[dict[str, Any]]:
    """Run `farspan up --dns`; give what it wrote about itself."""
    command = [*FARSPAN, "up", "--dns", "--auth", "on", "--data", str(data)]
    with (data.parent / "up.log").open("w") as log:
        up = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for("the deployment", lambda: (data / "up.json").exists() or up.poll() is not None)
        if up.poll() is not None:
            raise SystemExit((data.parent / "up.log").read_text())
        yield json.loads((data / "up.json").read_text())
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(20)


def wait_for(what: str, look: Any) -> None:  # noqa: ANN401 - any function without arguments
    """Wait until something is true."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not look():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} did not come within {READY_SECONDS_MAX:.0f} s")
        time.sleep(0.1)


def application_environment(up: dict[str, Any]) -> dict[str, str]:
    """Return what the application is given: keys and whom to trust, no URL."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        kept.pop(name, None)
    return {
        **kept,
        "AWS_CA_BUNDLE": up["dns"]["ca_file"],
        "AWS_ACCESS_KEY_ID": up["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": up["secret_access_key"],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def addresses(host: str) -> list[str]:
    """Return what the system's resolver says of a name, in its order."""
    found = socket.getaddrinfo(host, 443, socket.AF_INET, socket.SOCK_STREAM)
    return [entry[4][0] for entry in found]


def pass_on(lines: Iterable[str]) -> None:
    """Print lines as they come."""
    for line in lines:
        print(line, end="", flush=True)


def run(directory: Path) -> int:
    """Run the application through a failover. Returns its exit code."""
    data = directory / "data"
    with deployment(data) as up:
        described = subprocess.run(
            [sys.executable, "-c", DESCRIBE],
            env=application_environment(up),
            check=True,
            capture_output=True,
            text=True,
        )
        endpoint_id = described.stdout.strip()
        host = f"{endpoint_id}.endpoint.events.{up['dns']['zone']}"
        print(f"{host} is {', '.join(addresses(host))}", flush=True)
        application = subprocess.Popen(
            [sys.executable, APPLICATION, endpoint_id, "--seconds", str(SECONDS)],
            env=application_environment(up),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert application.stdout is not None, "it writes to a pipe"
        print(application.stdout.readline(), end="", flush=True)
        echo = threading.Thread(target=pass_on, args=(application.stdout,))
        echo.start()
        time.sleep(KILL_AFTER)
        primary = up["regions"][0]
        print(f"SIGKILL to {primary['name']}, the primary Region", flush=True)
        os.kill(primary["pid"], signal.SIGKILL)
        wait_for("the other answer", lambda: addresses(host)[0] != "127.0.0.2")
        print(f"{host} is {', '.join(addresses(host))}", flush=True)
        time.sleep(RESTART_AFTER)
        command = [*FARSPAN, "serve", "--region", primary["name"], "--data", str(data)]
        restarted = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print(
            f"{primary['name']} is started again: what it took last goes to the other Region",
            flush=True,
        )
        try:
            return application.wait(READY_SECONDS_MAX)
        finally:
            application.kill()
            echo.join()
            restarted.terminate()
            restarted.wait(20)


DESCRIBE = """
import boto3
print(boto3.client("events", "us-east-1").describe_endpoint(Name="demo")["EndpointId"])
"""


def main() -> int:
    """Run the example. Returns the exit code of the module's docstring."""
    if INSIDE not in os.environ:
        return enter_namespaces()
    with tempfile.TemporaryDirectory(prefix="farspan-dns-") as directory:
        try:
            use_own_resolver(Path(directory))
        except (OSError, subprocess.CalledProcessError) as error:
            return skip(f"the resolver cannot be pointed elsewhere: {error}")
        code = run(Path(directory))
    print("PASSED: no call failed, every event arrived." if code == 0 else "FAILED")
    return code


if __name__ == "__main__":
    sys.exit(main())
