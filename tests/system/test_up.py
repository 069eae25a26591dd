"""`farspan up`, `serve`, `edge` and `env` as a user meets them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import apsw
import boto3
import pytest
from deployments import FARSPAN, StartUp, eventually, is_alive, serving


def run(*words: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run a command of farspan to its end."""
    return subprocess.run(
        [*FARSPAN, *words], capture_output=True, text=True, timeout=30, check=False, **settings
    )


def test_up_says_what_runs_and_that_it_is_ready(start_up: StartUp) -> None:
    """The banner has the URL, both Regions, four lines to copy, and ends with `Ready.`."""
    up = start_up()

    text = "\n".join(up.lines)
    assert f"http://127.0.0.1:{up.port}" in text
    assert "us-east-1" in text
    assert "us-west-2" in text
    assert "20 times faster" in text
    copied = up.lines[up.lines.index("Try it:") + 1 : -1]
    assert len(copied) == 4
    assert up.lines[-1] == "Ready."


def test_up_writes_what_other_programs_need(start_up: StartUp) -> None:
    """up.json has the URL, the processes, the credentials and the account."""
    up = start_up("--empty")

    content = up.file
    assert content["url"] == f"http://127.0.0.1:{up.port}"
    assert [region["name"] for region in content["regions"]] == ["us-east-1", "us-west-2"]
    assert all(is_alive(pid) for pid in up.pids)
    assert (content["access_key_id"], content["secret_access_key"]) == ("test", "test")
    assert content["account_id"] == "000000000000"
    assert up.client("sts").get_caller_identity()["Account"] == "000000000000"


def test_the_first_screen_is_never_empty(start_up: StartUp) -> None:
    """Without --empty there is a bus, a rule and an active endpoint to try."""
    up = start_up()

    assert up.client("events").describe_endpoint(Name="demo")["State"] == "ACTIVE"
    assert up.client("events", "us-west-2").list_rules(EventBusName="demo")["Rules"]


def test_env_prints_exports_for_a_shell(start_up: StartUp) -> None:
    """`eval "$(farspan env)"` sets the one URL, the key and the Region."""
    up = start_up("--empty")

    lines = run("env", "--data", str(up.data)).stdout.splitlines()
    assert f"export AWS_ENDPOINT_URL=http://127.0.0.1:{up.port}" in lines
    assert "export AWS_ACCESS_KEY_ID=test" in lines
    assert "export AWS_SECRET_ACCESS_KEY=test" in lines
    assert "export AWS_DEFAULT_REGION=us-east-1" in lines


def test_env_without_a_deployment_says_what_to_do(tmp_path: Path) -> None:
    """There is nothing to export before `farspan up` ran."""
    done = run("env", "--data", str(tmp_path))

    assert done.returncode == 1
    assert "farspan up --data" in done.stderr


def test_ctrl_c_leaves_no_process_behind(start_up: StartUp) -> None:
    """SIGINT stops every child in order."""
    up = start_up("--empty")
    pids = up.pids

    assert up.stop() == 0
    assert not any(map(is_alive, pids))


def test_children_stop_when_up_is_killed(start_up: StartUp) -> None:
    """Even SIGKILL of `farspan up` leaves no node running."""
    up = start_up("--empty")
    pids = up.pids

    up.popen.kill()
    eventually(lambda: not any(map(is_alive, pids)))


def test_data_survives_a_new_start(start_up: StartUp) -> None:
    """`up` again on the same directory finds buses, rules, endpoints and undelivered events."""
    first = start_up()
    events = first.client("events")
    endpoint_id = events.describe_endpoint(Name="demo")["EndpointId"]
    entry = {
        "Source": "shop.x",
        "DetailType": "T",
        "Detail": '{"amount":1}',
        "EventBusName": "demo",
    }
    event_id = events.put_events(Entries=[entry])["Entries"][0]["EventId"]
    first.stop()

    second = start_up()
    events, sqs = second.client("events"), second.client("sqs")
    assert events.describe_endpoint(Name="demo")["EndpointId"] == endpoint_id
    assert len(events.list_endpoints()["Endpoints"]) == 1
    url = sqs.get_queue_url(QueueName="demo")["QueueUrl"]
    reply = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)
    assert event_id in reply["Messages"][0]["Body"]


def test_the_demo_endpoint_follows_its_primary_to_another_port(start_up: StartUp) -> None:
    """`up` again on other ports: the endpoint's health check watches the primary that there is."""
    start_up().stop()
    second = start_up()
    endpoint = second.client("events").describe_endpoint(Name="demo")
    check = endpoint["RoutingConfig"]["FailoverConfig"]["Primary"]["HealthCheck"]
    found = second.client("route53").get_health_check(HealthCheckId=check.rpartition("/")[2])
    port = found["HealthCheck"]["HealthCheckConfig"]["Port"]

    assert endpoint["State"] == "ACTIVE"
    assert second.file["regions"][0]["url"].endswith(f":{port}")


def test_what_is_stored_is_for_its_owner_alone(start_up: StartUp) -> None:
    """Store, logs, configuration and directories: nobody else on the machine reads them."""
    up = start_up("--empty")
    paths = [up.data, *up.data.rglob("*")]
    open_to_others = [path for path in paths if path.lstat().st_mode & 0o077]

    assert {"store.sqlite3", "us-east-1.log", "farspan.toml"} <= {path.name for path in paths}
    assert open_to_others == []


def test_the_environment_does_not_override_what_up_was_told(
    start_up: StartUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up --auth off` takes any key, also where FARSPAN_AUTH says on."""
    monkeypatch.setenv("FARSPAN_AUTH", "on")
    up = start_up("--empty", "--auth", "off")
    client = boto3.client(
        "events",
        region_name="us-east-1",
        endpoint_url=up.file["url"],
        aws_access_key_id="any",
        aws_secret_access_key="key",
    )

    assert client.list_event_buses()["EventBuses"]


def test_a_region_that_dies_is_reported_and_comes_back_by_hand(start_up: StartUp) -> None:
    """`up` says who died and how to start it; `farspan serve` on the same directory does."""
    up = start_up()
    os.kill(up.pid_of("us-west-2"), signal.SIGKILL)
    up.read_until("Start it again with: farspan serve --region us-west-2")

    assert any("us-west-2 stopped (killed by SIGKILL)" in line for line in up.lines)
    with serving("us-west-2", up.data):
        up.read_until("us-west-2 answers again")
        buses = up.client("events", "us-west-2").list_event_buses()["EventBuses"]
        assert "demo" in [bus["Name"] for bus in buses]


def test_restart_starts_a_dead_region_again(start_up: StartUp) -> None:
    """With --restart a Region that was killed is back with another process."""
    up = start_up("--empty", "--restart")
    former = up.pid_of("us-east-1")
    os.kill(former, signal.SIGKILL)
    up.read_until("us-east-1 is started again")

    eventually(lambda: up.pid_of("us-east-1") != former)
    eventually(up.answers)


def test_a_busy_port_is_named_with_its_owner(tmp_path: Path) -> None:
    """One sentence says which port, who has it and which other to take."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("up", "--data", str(tmp_path / "d"), "--port", str(port))

    assert done.returncode == 1
    assert f"Port {port} on 127.0.0.1 is in use by process {os.getpid()}" in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unwritable_data_directory_is_one_sentence(tmp_path: Path) -> None:
    """A directory that cannot be made is named, with what to do."""
    (tmp_path / "file").write_text("in the way")
    done = run("up", "--data", str(tmp_path / "file" / "data"), "--port", "0")

    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "--data" in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_without_a_configuration_says_what_to_do(tmp_path: Path) -> None:
    """`serve` in an empty directory points to `up`."""
    done = run("serve", "--region", "us-east-1", "--data", str(tmp_path))

    assert done.returncode == 1
    assert "farspan up --data" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["up", "--regions", "us-east-1"], "two different Regions"),
        (["up", "--regions", "us-east-1,mars"], "`mars` is no Region name"),
        (["up", "--port", "many"], "not a valid integer"),
        (["demo", "--rate", "0"], "--rate takes 1 to 5000"),
        (["serve"], "--region"),
    ],
    ids=["one-region", "no-region-name", "port-text", "rate-zero", "serve-without-region"],
)
def test_wrong_words_are_answered_with_usage(words: list[str], said: str) -> None:
    """A command whose words are off exits with 2 and says which word."""
    done = run(*words)

    assert done.returncode == 2
    assert said in done.stderr


def test_a_store_of_a_newer_format_is_refused_untouched(start_up: StartUp) -> None:
    """`serve` on a newer store says so, changes nothing, and exits."""
    up = start_up("--empty")
    up.stop()
    store = up.data / "us-east-1" / "store.sqlite3"
    connection = apsw.Connection(str(store))
    connection.pragma("user_version", 99)
    connection.close()
    done = run("serve", "--region", "us-east-1", "--data", str(up.data))

    assert done.returncode == 1
    assert "format 99" in done.stderr
    assert "Nothing was changed" in done.stderr
    connection = apsw.Connection(str(store))
    assert connection.pragma("user_version") == 99
    connection.close()


def test_two_processes_cannot_serve_one_store(start_up: StartUp) -> None:
    """A second `serve` on a store in use names the process that has it, or the busy port."""
    up = start_up("--empty")
    done = run("serve", "--region", "us-east-1", "--data", str(up.data))

    assert done.returncode == 1
    assert "is in use by process" in done.stderr


def test_the_demo_without_awscrt_is_one_sentence(tmp_path: Path) -> None:
    """Without boto3's signer for global endpoints the demo says what to install."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['awscrt'] = None\n")
    done = run("demo", env={**os.environ, "PYTHONPATH": str(tmp_path)})

    assert done.returncode == 2
    assert "awscrt is not installed" in done.stderr
    assert "pip install" in done.stderr
