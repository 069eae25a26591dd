"""The senders of a Region: which one reaches which kind of target, and what they share.

With `app` this is where kinds of targets are named. They share one connector, so that every request
to a target passes one guard.
"""

from __future__ import annotations

import functools

import msgspec

from farspan.catalog.resources import Resources
from farspan.clock import Clock
from farspan.config import Config
from farspan.model.api_destination import ApiDestination
from farspan.model.arn import parse_arn
from farspan.model.connection import Connection, Secret
from farspan.queues.service import QueueService
from farspan.sealing import Sealer
from farspan.targets.api_destination import ApiDestinationTarget
from farspan.targets.base import TargetSender
from farspan.targets.connector import Connector, tls_context
from farspan.targets.egress import Egress, egress
from farspan.targets.oauth import Report, TokenSource
from farspan.targets.sqs import DeadLetterTarget, QueueTarget


class Senders:
    """What sends a Region's deliveries and dead letters. Close it when nothing is sent any more."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        resources: Resources,
        queues: QueueService,
        sealer: Sealer,
        report: Report,
    ) -> None:
        self._config = config
        self._sealer = sealer
        self._connector = Connector(
            functools.cache(self._egress_of), tls_context(config.targets.ca_file)
        )
        self.tokens = TokenSource(self._connector, clock, self._open_secret, report)
        self.dead_letters = DeadLetterTarget(queues, resources.queue, clock.now)
        self._senders: dict[str, TargetSender] = {
            "sqs": QueueTarget(queues, resources.queue, clock.now),
            "events": ApiDestinationTarget(
                self._connector,
                self.tokens,
                clock,
                lambda account, name: resources.table(ApiDestination).get(f"{account}/{name}"),
                lambda account, name: resources.table(Connection).get(f"{account}/{name}"),
                self._open_secret,
            ),
        }

    def sender_of(self, target_arn: str) -> TargetSender | None:
        """Return what sends to a target; None where Farspan has no such kind of target."""
        arn = parse_arn(target_arn)
        return self._senders.get(arn.service) if arn is not None else None

    def _open_secret(self, connection: Connection) -> Secret:
        """Return a connection's secret, for one use."""
        assert connection.sealed_secret is not None, "a connection in use has a secret"
        opened = self._sealer.open(
            connection.sealed_secret, arn=connection.arn, version=connection.secret_version
        )
        return msgspec.json.decode(opened, type=Secret)

    def _egress_of(self, account: str) -> Egress:
        """Return where an account's targets may be."""
        targets = self._config.targets
        listed = (*targets.allow_private, *targets.allow_private_for.get(account, ()))
        return egress(listed, allows_private=not self._config.auth)

    async def close(self) -> None:
        """Stop what is under way."""
        await self.tokens.close()
        await self._connector.close()
