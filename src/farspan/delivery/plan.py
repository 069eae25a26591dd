"""From an event and the rules that it matched to the deliveries that follow. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from farspan.delivery.parameters import resolve
from farspan.delivery.transform import Payload, Subject, payload_for
from farspan.model.delivery import Delivery
from farspan.model.event import event_id_in
from farspan.model.rule import Rule


def plan_deliveries(
    envelope: bytes,
    rules: Iterable[Rule],
    now: float,
    accepted_at: float,
    trace_header: str | None = None,
    *,
    origin: str = "",
    is_forwarded: bool = False,
) -> list[Delivery]:
    """Return one delivery for each target of each rule, with ids that planning again gives again.

    That is what makes a batch that is read twice after a crash harmless to targets that know ids.
    `accepted_at`, the event's ingestion time, is seconds since the epoch like `now`.
    """
    event_id = event_id_in(envelope)
    whole = Payload(envelope)
    event: Subject | None = None
    deliveries: list[Delivery] = []
    for rule in rules:
        for target in rule.targets.values():
            payload, parameters = whole, target.parameters
            if target.has_input or parameters:
                event = event or Subject(envelope, accepted_at)
                payload = payload_for(target, rule, event) if target.has_input else whole
                parameters = resolve(parameters, event.value)
            deliveries.append(
                Delivery(
                    delivery_id=f"{event_id}/{rule.arn}/{target.id}",
                    event_id=event_id,
                    rule_arn=rule.arn,
                    target_id=target.id,
                    target_arn=target.arn,
                    payload=payload.body,
                    is_invalid=payload.is_invalid,
                    planned_at=now,
                    # What the other Region took is measured from when it is read here.
                    ingested_at=accepted_at if origin in ("", rule.region) else now,
                    retry_policy=target.retry_policy,
                    dead_letter_arn=target.dead_letter_arn,
                    trace_header=trace_header,
                    parameters=parameters,
                    role_arn=target.role_arn,
                    origin=origin,
                    is_forwarded=is_forwarded,
                )
            )
    return deliveries
