"""What the demo sees of a deployment from outside: each node's status, asked with a signature."""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import msgspec

from farspan.config import Config, NodeConfig
from farspan.wire.http import Request
from farspan.wire.sigv4 import sign

STATUS_PATH = "/_farspan/status"
STATUS_SECONDS_MAX = 1.0


def status_of(config: Config, node: NodeConfig) -> dict[str, Any] | None:
    """Return a node's status, None where it does not answer."""
    credential = config.credentials[0]
    request = Request(method="GET", path=STATUS_PATH, headers={"host": urlsplit(node.url).netloc})
    headers = sign(
        request,
        access_key_id=credential.access_key_id,
        secret_access_key=credential.secret_access_key,
        region=node.region or "edge",
        service="farspan",
        now=time.time(),
    )
    asked = urllib.request.Request(  # noqa: S310 - the deployment's own URL
        f"{node.url}{STATUS_PATH}", headers={**request.headers, **headers}
    )
    try:
        with urllib.request.urlopen(asked, timeout=STATUS_SECONDS_MAX) as reply:  # noqa: S310
            status: dict[str, Any] = msgspec.json.decode(reply.read())
            return status
    except (urllib.error.URLError, OSError):
        return None


def endpoint_in(status: dict[str, Any] | None, endpoint_id: str) -> dict[str, Any] | None:
    """Return what a status says of one endpoint, None where it says nothing."""
    for endpoint in (status or {}).get("endpoints", ()):
        if endpoint["endpoint_id"] == endpoint_id:
            found: dict[str, Any] = endpoint
            return found
    return None
