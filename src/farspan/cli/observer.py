"""What is seen of a deployment from outside: each node's status, asked with a signature."""

from __future__ import annotations

from typing import Any

from farspan.cli.remote import Remote
from farspan.config import Config, NodeConfig


def status_of(config: Config, node: NodeConfig) -> dict[str, Any] | None:
    """Return a node's status, None where it does not answer."""
    return Remote(node.url, node.region or "edge", config.credentials[0]).status()


def endpoint_in(status: dict[str, Any] | None, endpoint_id: str) -> dict[str, Any] | None:
    """Return what a status says of one endpoint, None where it says nothing."""
    for endpoint in (status or {}).get("endpoints", ()):
        if endpoint["endpoint_id"] == endpoint_id:
            found: dict[str, Any] = endpoint
            return found
    return None
