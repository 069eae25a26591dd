"""The targets' port: what a module that reaches one kind of target promises.

Nothing here does I/O, and no kind of target is named here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from farspan.model.delivery import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farspan.model.delivery import Delivery

NO_RESOURCE = "NO_RESOURCE"  # the target does not exist
INVALID_JSON = "INVALID_JSON"  # the payload is not what the target takes
INVALID_PARAMETER = "INVALID_PARAMETER"  # the target refuses the payload
INTERNAL_ERROR = "INTERNAL_ERROR"  # Farspan itself could not make the attempt
NO_PERMISSIONS = "NO_PERMISSIONS"  # the target does not let the sender in
CONNECTION_FAILURE = "CONNECTION_FAILURE"  # the target cannot be reached
ERROR_FROM_TARGET = "ERROR_FROM_TARGET"  # the target failed
SDK_CLIENT_ERROR = "SDK_CLIENT_ERROR"  # the target refuses the request
THROTTLING = "THROTTLING"  # the target has too much to do
CROSS_REGION_INGESTION_FAILED = "CROSS_REGION_INGESTION_FAILED"  # its Region cannot be reached
FAILED_TO_ASSUME_ROLE = "FAILED_TO_ASSUME_ROLE"  # the target's role is not there
THIRD_ACCOUNT_HOP_DETECTED = "THIRD_ACCOUNT_HOP_DETECTED"  # came from a bus of this Region already
THIRD_REGION_HOP_DETECTED = "THIRD_REGION_HOP_DETECTED"  # came from another Region already
TIMEOUT = "TIMEOUT"  # the target did not answer in time

INVALID_INPUT = Outcome(
    verdict=Verdict.PERMANENT,
    error_code=INVALID_JSON,
    error_message="Invalid input for target.",
)
"""A payload that no target takes. The words are EventBridge's (a recorded dead letter)."""


class TargetSender(Protocol):
    """Makes attempts at one kind of target."""

    @property
    def batch_count_max(self) -> int:
        """How many deliveries `send` takes at once; it may change from one batch to the next."""

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Attempt each delivery once and return one outcome for each, in the same order.

        Never raises for a target's fault: that is an outcome. A delivery that is delivered means
        that the target has it durably, as far as the target says so. Sending the same delivery
        again is allowed and may reach the target twice, unless the kind of target can tell.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A delivery that ended undelivered, with the last attempt's error as EventBridge names it.

    `exhausted_retry_condition` (`MaximumRetryAttempts` or `MaximumEventAgeInSeconds`) and
    `retry_attempts` are there only where retries were used up.
    """

    delivery: Delivery
    error_code: str
    error_message: str
    exhausted_retry_condition: str | None = None
    retry_attempts: int | None = None


class DeadLetterSender(Protocol):
    """Sends dead letters to the queues that their deliveries name."""

    async def send(self, dead_letters: Sequence[DeadLetter]) -> list[Outcome]:
        """Send each dead letter once and return one outcome for each, in the same order.

        Never raises for the queue's fault. Sending the same dead letter again puts one message.
        """


class NoSuchTarget:
    """Stands for a kind of target that Farspan does not have."""

    batch_count_max = 100

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Fail each delivery for good, by name."""
        return [
            Outcome(
                verdict=Verdict.PERMANENT,
                error_code=INVALID_PARAMETER,
                error_message=f"Farspan has no target of the kind of {delivery.target_arn}.",
            )
            for delivery in deliveries
        ]
