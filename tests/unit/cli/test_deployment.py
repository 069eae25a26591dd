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


def test_the_nodes_get_no_word_above_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `up` was told is in the file; the environment's word does not reach its children."""
    monkeypatch.setenv("FARSPAN_AUTH", "on")
    monkeypatch.setenv("FARSPAN_TIME_SCALE", "7")
    monkeypatch.setenv("OTHER", "kept")
    environment = deployment._child_environment(9)

    assert not {"FARSPAN_AUTH", "FARSPAN_TIME_SCALE"} & set(environment)
    assert ("kept", "9") == (environment["OTHER"], environment[deployment.PARENT_PIPE])
