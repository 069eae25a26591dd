"""The senders of a Region: which one reaches which kind of target, and what they share.

With `app` this is where kinds of targets are named. They share one connector, so that every request
to a target passes one guard.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import msgspec

from farspan.archives.service import ArchiveService
from farspan.catalog.permissions import takes_from_rule
from farspan.catalog.resources import Resources
from farspan.clock import Clock
from farspan.config import Config, TargetsConfig
from farspan.logs.service import LogGone, LogService
from farspan.model.api_destination import ApiDestination
from farspan.model.arn import parse_arn
from farspan.model.bus import DEFAULT_BUS_NAME
from farspan.model.connection import Connection, Secret
from farspan.model.event import CallId
from farspan.model.function import Function
from farspan.model.log_group import LogEvent
from farspan.model.queue import Queue
from farspan.queues.service import QueueService
from farspan.sealing import Sealer
from farspan.targets.api_destination import ApiDestinationTarget
from farspan.targets.api_gateway import ApiGatewayTarget
from farspan.targets.appsync import AppSyncTarget
from farspan.targets.aws_api import AwsApiTarget
from farspan.targets.aws_batches import batched, lane_count
from farspan.targets.aws_kinds import KINDS, SERVICES
from farspan.targets.aws_wire import AwsOperation, ServiceUrl, Unsigned
from farspan.targets.base import TargetSender
from farspan.targets.connector import Connector, tls_context
from farspan.targets.egress import Egress, egress_of
from farspan.targets.event_bus import EventBusTarget, Forward, RoleDenial
from farspan.targets.function import FunctionTarget, FunctionUrl, LambdaTarget
from farspan.targets.log_group import LogGroupTarget, LogWriter
from farspan.targets.oauth import Report, TokenSource
from farspan.targets.sqs import DeadLetterTarget, QueueAccess, QueueTarget
from farspan.wire import spec
from farspan.wire.http import Request
from farspan.wire.sigv4 import sign


class Inside(NamedTuple):
    """What targets that are inside Farspan are reached through."""

    queues: QueueService
    archives: ArchiveService
    logs: LogService
    forward: Forward
    role_denial: RoleDenial


class Senders:
    """What sends a Region's deliveries and dead letters. Close it when nothing is sent any more."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        resources: Resources,
        inside: Inside,
        sealer: Sealer,
        report: Report,
    ) -> None:
        self._config = config
        self._clock = clock
        self._sealer = sealer
        self._archives = inside.archives
        self._resources = resources
        self._connector = Connector(
            functools.cache(self._egress_of), tls_context(config.targets.ca_file)
        )
        self.tokens = TokenSource(self._connector, clock, self._open_secret, report)
        access = QueueAccess(resources.queue, self._takes)
        self.dead_letters = DeadLetterTarget(inside.queues, access, clock.now)
        self._service_urls = service_urls(config.targets)
        self._functions = FunctionTarget(self._connector, self._function, clock.now)
        self._senders: dict[str, TargetSender] = {
            **self._aws_apis(),
            "appsync": AppSyncTarget(
                self._connector, self._service_urls.get("appsync"), self._sign
            ),
            "execute-api": ApiGatewayTarget(
                self._connector, clock, self._service_urls.get("execute-api"), self._sign
            ),
            "sqs": QueueTarget(inside.queues, access, clock.now),
            "logs": LogGroupTarget(resources.region, log_writer(inside.logs), clock.now),
            "event-bus": EventBusTarget(resources.region, inside.forward, inside.role_denial),
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
        if arn is None:
            return None
        if arn.service == "events" and arn.resource.startswith("archive/"):
            return self._archives
        if arn.service == "lambda":
            api = self._senders["lambda"]
            return LambdaTarget(arn, self._function, self._functions, api)
        is_bus = arn.service == "events" and arn.resource.startswith("event-bus/")
        return self._senders.get("event-bus" if is_bus else arn.service)

    def _aws_apis(self) -> dict[str, TargetSender]:
        """Return what calls AWS's own APIs, by the service in a target's ARN.

        They share the models of the services that have a URL.
        """
        urls = self._service_urls
        operations = {
            (service, operation.name): operation
            for service in urls.keys() & SERVICES
            for operation in outgoing_operations(service)
        }
        return {
            kind.arn_service: AwsApiTarget(
                self._connector, operations, urls, self._sign, lane_count(kind.service)
            )
            for kind in KINDS
        }

    def _function(self, account: str, name: str) -> FunctionUrl | None:
        """Return where a function is invoked that has a URL of its own, the account's before all's.

        Where an account's may be is bound by what its targets may reach.
        """
        own = self._resources.table(Function).get(f"{account}/{name}")
        if own is not None:
            return FunctionUrl(own.url, is_trusted=False)
        url = self._config.targets.functions.get(name)
        return None if url is None else FunctionUrl(url, is_trusted=True)

    def _takes(self, queue: Queue, rule_arn: str) -> bool:
        """Tell whether a queue takes what a rule sends to it."""
        arn = parse_arn(rule_arn)
        if arn is None:
            return False
        bus, _, name = arn.resource.removeprefix("rule/").rpartition("/")
        rule = self._resources.rule(arn.account, bus or DEFAULT_BUS_NAME, name)
        return takes_from_rule(queue, rule_arn, rule.creator_account if rule else None)

    def _sign(self, unsigned: Unsigned) -> dict[str, str]:
        return sign_outgoing(unsigned, self._clock.now())

    def _open_secret(self, connection: Connection) -> Secret:
        """Return a connection's secret, for one use."""
        assert connection.sealed_secret is not None, "a connection in use has a secret"
        opened = self._sealer.open(
            connection.sealed_secret, arn=connection.arn, version=connection.secret_version
        )
        return msgspec.json.decode(opened, type=Secret)

    def _egress_of(self, account: str) -> Egress:
        """Return where an account's targets may be."""
        return egress_of(self._config.targets, account, allows_private=not self._config.auth)

    async def close(self) -> None:
        """Stop what is under way."""
        await self.tokens.close()
        await self._connector.close()


def log_writer(logs: LogService) -> LogWriter:
    """Return what writes to log groups for targets."""

    async def write(
        account: str, group: str, stream: str, batches: list[tuple[CallId, list[LogEvent]]]
    ) -> bool:
        found = logs.group(account, group)
        if found is None:
            return False
        try:
            await logs.write(found, stream, batches)
        except LogGone:
            return False
        return True

    return write


def service_urls(targets: TargetsConfig) -> dict[str, ServiceUrl]:
    """Return where the services are that the configuration has a URL of."""
    given = {service: targets.endpoint(service) for service in targets.endpoints}
    return {
        service: ServiceUrl(
            url=endpoint.url,
            access_key_id=endpoint.access_key_id,
            secret_access_key=endpoint.secret_access_key,
        )
        for service, endpoint in given.items()
        if endpoint is not None
    }


def outgoing_operations(service: str) -> list[AwsOperation]:
    """Return what a service's model says of the operations that its targets call."""
    wanted = {name for kind in KINDS if kind.service == service for name in kind.operations}
    wanted.update(batched(service))
    model = spec.outgoing(service, wanted)
    return [_outgoing(model, operation) for operation in model.operations.values()]


def _outgoing(model: spec.Service, operation: spec.Operation) -> AwsOperation:
    assert operation.input_shape is not None, "what targets call has an input"
    assert model.protocol != "rest-xml", "no service that targets are of speaks REST-XML"
    assert model.protocol != "smithy-rpc-v2-cbor", "all of them speak an older protocol as well"
    members = operation.input_shape.members.values()
    return AwsOperation(
        service=model.name,
        name=operation.name,
        signing_name=model.signing_name,
        protocol=model.protocol,
        json_version=model.json_version or "",
        target_prefix=model.target_prefix or "",
        api_version=model.api_version,
        method=operation.http_method,
        uri=operation.http_uri,
        places={
            member.name: (member.location, member.wire_name)
            for member in members
            if member.location is not None
        },
        payload=operation.input_shape.payload,
    )


def sign_outgoing(unsigned: Unsigned, now: float) -> dict[str, str]:
    """Return the headers that sign a request. `now` is in epoch seconds."""
    request = unsigned.request
    return sign(
        Request(
            method=request.method,
            path=unsigned.path,
            query=unsigned.query,
            headers={**request.headers, "host": unsigned.host},
            body=request.body,
        ),
        access_key_id=unsigned.keys.access_key_id,
        secret_access_key=unsigned.keys.secret_access_key,
        region=unsigned.region,
        service=unsigned.service,
        now=now,
    )
