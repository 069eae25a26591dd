"""DNS mode as a user runs it: SDKs without a URL, in a network that leads nowhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "dns" / "run.py"
SKIPPED = 77


@pytest.mark.timeout(240)
def test_boto3_without_a_url_survives_the_death_of_the_primary_region() -> None:
    """Through its own host names: no call fails, and every event is in the secondary Region."""
    done = subprocess.run(
        [sys.executable, EXAMPLE], capture_output=True, text=True, timeout=220, check=False
    )
    if done.returncode == SKIPPED:
        pytest.skip(done.stdout.strip())

    assert done.returncode == 0, done.stdout + done.stderr
    assert "event 1 was taken by us-east-1" in done.stdout
    assert "was taken by us-west-2" in done.stdout
    assert "failed 0, missing in us-west-2 0" in done.stdout
    assert "receiving from https://sqs.us-west-2.amazonaws.com/000000000000/demo" in done.stdout
    before, after = (line for line in done.stdout.splitlines() if ".endpoint.events." in line)
    assert before.endswith(" is 127.0.0.2, 127.0.0.4, 127.0.0.3")
    assert " is 127.0.0.3, 127.0.0.4" in after
