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
