"""Farspan's evaluator against an independent one, iam-simulate, on random policies and requests.

The oracle is AGPL-licensed and no part of the product: it runs as a program of its own, when it is
installed (`make oracle`).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from known_differences import KNOWN, Difference
from policy_cases import BUS, OWN, case

from farspan.policy import Request, evaluate, parse_bus_policy, parse_identity_policy

HERE = Path(__file__).parent
INSTALLED = HERE / "node_modules" / "@cloud-copilot" / "iam-simulate"
CASE_COUNT = 6_000

pytestmark = [
    pytest.mark.needs_node,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not INSTALLED.exists(), reason=f"{INSTALLED.name} is not installed: make oracle"
    ),
]


def _ask_oracle(cases: list[dict[str, Any]]) -> list[str]:
    ran = subprocess.run(
        [shutil.which("node") or "node", "simulate.mjs"],
        cwd=HERE,
        input="".join(json.dumps(each) + "\n" for each in cases),
        capture_output=True,
        text=True,
        check=True,
    )
    answers = [json.loads(line) for line in ran.stdout.splitlines()]

    assert [answer for answer in answers if "error" in answer or answer["ignored"]] == []
    assert len(cases) == len(answers)
    return [answer["result"] for answer in answers]


def _ask_farspan(asked: dict[str, Any]) -> str:
    policy = asked["policy"]
    _add_sids(policy)
    decision = evaluate(
        [parse_identity_policy(json.dumps(each)) for each in asked["identity"]],
        parse_bus_policy(json.dumps(policy), bus_arn=BUS) if policy else None,
        Request(
            principal=asked["principal"],
            action=asked["action"],
            resource=asked["resource"],
            context=asked["context"],
        ),
        same_account=f":{OWN}:" in asked["principal"],
    )
    if decision.allowed:
        return "Allowed"
    return "ExplicitlyDenied" if decision.reason.startswith("DENIED") else "ImplicitlyDenied"


def _add_sids(policy: dict[str, Any] | None) -> None:
    for index, statement in enumerate(policy["Statement"] if policy else ()):
        statement.setdefault("Sid", f"s{index}")


def test_random_cases_are_decided_alike() -> None:
    """Both evaluators give the same answer in every random case."""
    cases = [case(number) for number in range(CASE_COUNT)]
    theirs = _ask_oracle(cases)
    ours = [_ask_farspan(each) for each in cases]

    differing = [
        (number, ours[number], theirs[number])
        for number in range(CASE_COUNT)
        if ours[number] != theirs[number]
    ]

    assert differing == []
    assert {"Allowed", "ExplicitlyDenied", "ImplicitlyDenied"} == set(ours)


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.why)
def test_known_differences_are_still_those(known: Difference) -> None:
    """Where the two differ, they differ as written down, and Farspan has a reason."""
    asked = known.case()

    assert (known.ours, known.theirs) == (_ask_farspan(asked), _ask_oracle([asked])[0])
