"""A call over HTTP as values: what is sent, what came back, why nothing came back.

Nothing here does I/O, and no repr shows a header or a body, for they hold secrets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from farspan.model.delivery import Verdict
from farspan.targets.base import (
    CONNECTION_FAILURE,
    INTERNAL_ERROR,
    INVALID_PARAMETER,
    SDK_CLIENT_ERROR,
    TIMEOUT,
)

ANSWER_BYTES_MAX: Final = 64 * 1024
"""What is read of an answer, unless told otherwise. The connection of a longer one is closed."""


class Fault(StrEnum):
    """Why a call has no answer."""

    ADDRESS = "address"  # the target is where no target may be
    URL = "url"  # the URL or a header cannot be sent
    NAME = "name"  # the host's name has no address
    TLS = "tls"  # the certificate is not trusted, or TLS failed
    CONNECTION = "connection"  # refused, unreachable, closed in the middle, or no HTTP
    TIMEOUT = "timeout"  # no whole answer in time
    OWN = "own"  # this node could not make the call


FAULTS: Final = {
    Fault.ADDRESS: (Verdict.PERMANENT, SDK_CLIENT_ERROR),
    Fault.URL: (Verdict.PERMANENT, INVALID_PARAMETER),
    Fault.NAME: (Verdict.RETRYABLE, CONNECTION_FAILURE),
    Fault.TLS: (Verdict.RETRYABLE, CONNECTION_FAILURE),
    Fault.CONNECTION: (Verdict.RETRYABLE, CONNECTION_FAILURE),
    Fault.TIMEOUT: (Verdict.RETRYABLE, TIMEOUT),
    Fault.OWN: (Verdict.RETRYABLE, INTERNAL_ERROR),
}
"""What a call without an answer comes to, for every fault."""


class CallFailed(Exception):
    """A call has no answer. The message names neither addresses nor secrets."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `url` is percent-encoded as it is to be sent.

    `is_trusted` marks a URL that the configuration names: it may be anywhere. Of the answer's body
    no more than `answer_bytes_max` is read.
    """

    account: str
    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    body: bytes = field(repr=False, default=b"")
    seconds: float
    is_trusted: bool = False
    answer_bytes_max: int = ANSWER_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the headers by lower-case name, the body's beginning."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
