"""Writes the generated part of compatibility.md: every operation, and which are there.

Run as `make docs`. `tests/test_docs.py` fails while the file is stale.
"""

from __future__ import annotations

from pathlib import Path

from farspan.control.registry import OPERATIONS
from farspan.wire import spec

PAGE = Path(__file__).parent / "compatibility.md"
BEGIN, END = "<!-- operations -->", "<!-- end -->"
SERVICES = (
    "events",
    "sqs",
    "logs",
    "cloudwatch",
    "route53",
    "route53-recovery-cluster",
    "sts",
    "iam",
)
LARGE = {"cloudwatch", "iam", "logs", "route53"}
"""Services of which few operations are there."""

DATA_PLANE = {("events", "PutEvents")}
"""Operations that have a path of their own, past the control plane's table."""


def render_operations() -> str:
    """Return the table as Markdown."""
    present = set(OPERATIONS) | DATA_PLANE
    lines = ["", "| service | there | not yet |", "|---|---|---|"]
    for service in SERVICES:
        names = sorted(spec.service(service).operations)
        there = [name for name in names if (service, name) in present]
        absent = [name for name in names if (service, name) not in present]
        shown = f"{len(absent)} others" if service in LARGE else ", ".join(absent)
        lines.append(
            f"| `{service}` | {', '.join(there)} ({len(there)} of {len(names)}) | {shown or '-'} |"
        )
    return "\n".join([*lines, ""])


def rendered_page() -> str:
    """Return the page with its generated part as it should be."""
    head, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n{render_operations()}\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(rendered_page())
