"""What `farspan env` prints for a shell to read."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from farspan.cli.up import UP_FILE_NAME, print_environment

SECRET = "a b'c\"d$(touch x)`e`;\\f"


def test_env_quotes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever stands in a secret, a shell takes it as it is and runs nothing of it."""
    content = {
        "url": "http://127.0.0.1:4566",
        "access_key_id": "key",
        "secret_access_key": SECRET,
        "regions": [{"name": "us-east-1"}],
    }
    (tmp_path / UP_FILE_NAME).write_text(json.dumps(content))
    code = print_environment(tmp_path)
    script = capsys.readouterr().out + 'printf %s "$AWS_SECRET_ACCESS_KEY"\n'
    said = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )

    assert (0, SECRET) == (code, said.stdout)
    assert [tmp_path / UP_FILE_NAME] == list(tmp_path.iterdir())


@pytest.mark.parametrize("dns", [False, True])
def test_env_for_dns_mode_has_a_ca_instead_of_a_url(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], dns: bool
) -> None:
    """A URL that is still set from before would lead past the resolver."""
    content = {
        "url": "http://127.0.0.1:4566",
        "access_key_id": "key",
        "secret_access_key": SECRET,
        "regions": [{"name": "us-east-1"}],
        "dns": {"ca_file": "/data/tls/ca.pem", "zone": "amazonaws.com"},
    }
    (tmp_path / UP_FILE_NAME).write_text(json.dumps(content))
    assert print_environment(tmp_path, dns=dns) == 0

    said = capsys.readouterr().out.splitlines()
    assert ("unset AWS_ENDPOINT_URL" in said) is dns
    assert ("export AWS_CA_BUNDLE=/data/tls/ca.pem" in said) is dns
    assert ("export AWS_ENDPOINT_URL=http://127.0.0.1:4566" in said) is not dns


def test_env_for_dns_mode_needs_dns_mode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says how to start it."""
    (tmp_path / UP_FILE_NAME).write_text(json.dumps({"url": "http://127.0.0.1:4566"}))

    assert print_environment(tmp_path, dns=True) == 1
    assert "farspan up --dns" in capsys.readouterr().err
