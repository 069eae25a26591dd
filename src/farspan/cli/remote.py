"""A running deployment, asked over its public API, as any AWS client would be told to find it.

The environment of AWS clients comes first, then what `farspan up` wrote. Where neither names a URL
nothing is asked: no command of ours ever calls AWS itself.
"""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import click
import msgspec

from farspan.config import Credential
from farspan.wire.http import Request
from farspan.wire.sigv4 import sign

UP_FILE_NAME = "up.json"
SECONDS_MAX = 30.0
STATUS_PATH = "/_farspan/status"
STATUS_SECONDS_MAX = 1.0
JSON_1_1 = "application/x-amz-json-1.1"

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Without the environment's proxy, which knows nothing of this machine's ports."""


class Unreachable(Exception):
    """Nothing answers at the URL, or something else than Farspan does. The message says which."""


class Refused(Exception):
    """The deployment answered with an error. The message has AWS's name for it and the reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Remote:
    """One Region of a deployment, and the key to ask it with."""

    url: str
    region: str
    credential: Credential
    session_token: str | None = None

    def call(self, operation: str, **params: object) -> dict[str, Any]:
        """Return the answer of an EventBridge operation. Raises Refused and Unreachable."""
        headers = {"content-type": JSON_1_1, "x-amz-target": f"AWSEvents.{operation}"}
        body = self._send("POST", "/", headers=headers, body=msgspec.json.encode(params))
        return self._decoded(body)

    def page(self, path: str, method: str = "GET", /, **query: object) -> bytes:
        """Return one of Farspan's own pages, JSON. Raises Refused and Unreachable."""
        return self._send(method, path, query=urllib.parse.urlencode(query))

    def put(self, path: str, value: object) -> bytes:
        """Put JSON to one of Farspan's own pages. Raises Refused and Unreachable."""
        headers = {"content-type": "application/json"}
        return self._send("PUT", path, headers=headers, body=msgspec.json.encode(value))

    def status(self, seconds: float = STATUS_SECONDS_MAX) -> dict[str, Any] | None:
        """Return what the node at the URL says of itself, None where it does not say it soon."""
        try:
            return self._decoded(self._send("GET", STATUS_PATH, seconds=seconds))
        except (Refused, Unreachable):
            return None

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float = SECONDS_MAX,
    ) -> bytes:
        host = {"host": urllib.parse.urlsplit(self.url).netloc}
        request = Request(
            method=method, path=path, query=query, headers={**host, **(headers or {})}, body=body
        )
        signature = sign(
            request,
            access_key_id=self.credential.access_key_id,
            secret_access_key=self.credential.secret_access_key,
            region=self.region,
            service="events",
            now=time.time(),
            session_token=self.session_token,
        )
        asked = urllib.request.Request(  # noqa: S310 - open_remote takes http and https only
            f"{self.url}{path}" + (f"?{query}" if query else ""),
            method=method,
            headers={**request.headers, **signature},
            data=body or None,
        )
        try:
            with _OPENER.open(asked, timeout=seconds) as reply:
                answered: bytes = reply.read()
                return answered
        except urllib.error.HTTPError as error:
            with error:
                answer = self._decoded(error.read())
            code = str(answer.get("__type", error.code)).rpartition("#")[2]
            message = str(answer.get("message", error.reason))
            raise Refused(code, message) from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise Unreachable(f"Nothing answers at {self.url}: {reason}.") from error

    def _decoded(self, body: bytes) -> dict[str, Any]:
        try:
            return msgspec.json.decode(body or b"{}", type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise Unreachable(f"What answers at {self.url} is not Farspan.") from error


def open_remote(data: Path, *, url: str | None, region: str | None) -> Remote:
    """Return the deployment that options, the environment or a data directory name.

    Raises UsageError where none of them does.
    """
    env = os.environ
    up = read_up_file(data)
    found = url or env.get("AWS_ENDPOINT_URL_EVENTS") or env.get("AWS_ENDPOINT_URL")
    found = found or up.get("url")
    if not found:
        raise click.UsageError(
            f"No deployment is named: there is no AWS_ENDPOINT_URL and no {data / UP_FILE_NAME}. "
            'Start one with `farspan up`, then eval "$(farspan env)", or give --endpoint-url.'
        )
    if urllib.parse.urlsplit(found).scheme not in ("http", "https"):
        raise click.UsageError(f"`{found}` is no URL such as http://127.0.0.1:4566.")
    region = region or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION")
    region = region or next((known["name"] for known in up.get("regions", ())), "us-east-1")
    if env.get("AWS_ACCESS_KEY_ID"):
        credential = Credential(
            access_key_id=env["AWS_ACCESS_KEY_ID"],
            secret_access_key=env.get("AWS_SECRET_ACCESS_KEY", ""),
        )
        return Remote(found.rstrip("/"), region, credential, env.get("AWS_SESSION_TOKEN") or None)
    well_known = Credential()
    credential = Credential(
        access_key_id=up.get("access_key_id", well_known.access_key_id),
        secret_access_key=up.get("secret_access_key", well_known.secret_access_key),
    )
    return Remote(found.rstrip("/"), region, credential)


def open_remotes(data: Path, *, url: str | None, region: str | None) -> list[Remote]:
    """Return every Region of the deployment that options, the environment or a directory name.

    One alone where `region` says so, or where nothing says which others there are.
    """
    one = open_remote(data, url=url, region=region)
    up = read_up_file(data)
    names = [known["name"] for known in up.get("regions", ())]
    if region or one.url != up.get("url") or one.region not in names:
        return [one]
    return [replace(one, region=name) for name in names]


def read_up_file(data: Path) -> dict[str, Any]:
    """Return what `farspan up` wrote into a data directory, nothing where it wrote nothing."""
    try:
        return msgspec.json.decode((data / UP_FILE_NAME).read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError):
        return {}
