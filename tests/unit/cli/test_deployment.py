"""What `farspan up` writes before it starts anything."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from farspan.cli import deployment
from farspan.cli.deployment import LOCAL_TIME_SCALE, prepare
from farspan.config import CONFIG_FILE_NAME, load_config

PORT = 4566  # nothing is started
REGIONS = ("us-east-1", "us-west-2")


def written(data: Path) -> str:
    """Return the file that is there."""
    return (data / CONFIG_FILE_NAME).read_text()


def test_a_new_deployment_runs_fast(tmp_path: Path) -> None:
    """On one machine nobody waits 30 seconds for a failover."""
    config = prepare(tmp_path / "data", REGIONS, PORT, auth=False)

    assert LOCAL_TIME_SCALE == config.health.time_scale
    assert config == load_config(tmp_path / "data" / CONFIG_FILE_NAME, {})


def test_a_time_scale_that_is_there_is_kept(tmp_path: Path) -> None:
    """What somebody wrote into the file stays, as do the secret and the keys."""
    former = prepare(tmp_path, REGIONS, PORT, auth=False)
    changed = written(tmp_path).replace(f"time_scale = {LOCAL_TIME_SCALE}", "time_scale = 3.0")
    (tmp_path / CONFIG_FILE_NAME).write_text(changed)
    config = prepare(tmp_path, REGIONS, PORT, auth=False)

    assert 3.0 == config.health.time_scale
    assert 3.0 == load_config(tmp_path / CONFIG_FILE_NAME, {}).health.time_scale
    assert former.cluster_secret == config.cluster_secret


def test_the_data_directory_is_its_owners(tmp_path: Path) -> None:
    """Nobody else on the machine reads events or secrets."""
    prepare(tmp_path / "data", REGIONS, PORT, auth=False)
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "data", tmp_path / "data" / CONFIG_FILE_NAME)
    ]

    assert [0o700, 0o600] == modes


def test_the_command_lines_word_on_auth_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `up` was told about signatures no child hears otherwise; the rest it hears."""
    monkeypatch.setenv("FARSPAN_AUTH", "on")
    monkeypatch.setenv("FARSPAN_TIME_SCALE", "7")
    environment = deployment._child_environment(9)

    assert "FARSPAN_AUTH" not in environment
    assert ("7", "9") == (environment["FARSPAN_TIME_SCALE"], environment[deployment.PARENT_PIPE])


def test_the_environments_word_is_for_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time scale from the environment holds while it is set, and is not written down."""
    prepare(tmp_path, REGIONS, PORT, auth=False)
    monkeypatch.setenv("FARSPAN_TIME_SCALE", "7")
    assert 7.0 == prepare(tmp_path, REGIONS, PORT, auth=False).health.time_scale

    monkeypatch.delenv("FARSPAN_TIME_SCALE")
    assert LOCAL_TIME_SCALE == prepare(tmp_path, REGIONS, PORT, auth=False).health.time_scale


def test_in_dns_mode_each_node_has_an_address(tmp_path: Path) -> None:
    """The Regions' are equally near to a client, so that the name server's order holds."""
    config = prepare(tmp_path, REGIONS, PORT, auth=False, zone="amazonaws.com")

    assert config == load_config(tmp_path / CONFIG_FILE_NAME, {})
    assert [node.addresses for node in config.nodes] == [
        ("127.0.0.4",),
        ("127.0.0.2",),
        ("127.0.0.3",),
    ]
    assert config.dns is not None
    assert (config.dns.zone, config.dns.listen) == ("amazonaws.com", "127.0.0.1:53")


def test_dns_mode_stays_as_the_file_has_it(tmp_path: Path) -> None:
    """`up` without `--dns` on the same directory keeps the mode, the addresses and the port."""
    prepare(tmp_path, REGIONS, PORT, auth=False, zone="amazonaws.com")
    changed = written(tmp_path).replace("127.0.0.1:53", "127.0.0.9:5353").replace(".0.4", ".0.44")
    (tmp_path / CONFIG_FILE_NAME).write_text(changed)
    config = prepare(tmp_path, REGIONS, PORT, auth=False)

    assert config.dns is not None
    assert config.dns.listen == "127.0.0.9:5353"
    assert config.nodes[0].addresses == ("127.0.0.44",)
    assert config.tls is not None
