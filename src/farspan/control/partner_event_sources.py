"""Partner event sources as the partner sees them: Create, Describe, List, Delete, PutPartnerEvents.

Any account can be a partner here. A source is offered to one account; the same name may be
offered to several, and its events then go to each.
"""

from __future__ import annotations

from farspan.control.paging import page
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    LimitExceededException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
)
from farspan.ingest.entries import EntryError, entries_of
from farspan.ingest.service import PartnerEventsCall
from farspan.model.event_source import EventSource, EventSourceState, deleted, pending


@operation("events", "CreatePartnerEventSource", changes_resources=True)
async def create_partner_event_source(
    plane: ControlPlane, caller: Caller, params: Params
) -> Output:
    """Offer a source to an account, which then has two weeks to make the bus for it."""
    now = plane.clock.now()
    source = pending(
        EventSource(
            region=plane.region,
            account=params["Account"],
            name=params["Name"],
            partner_account=caller.account,
            creation_time=now,
        ),
        now,
    )
    former = plane.resources.table(EventSource).get(source.key)
    if former is not None and former.exists_at(now):
        ours = former.partner_account == caller.account
        if not ours or former.state is not EventSourceState.DELETED:
            raise ResourceAlreadyExistsException(f"Event source {source.name} already exists.")
    if len(_sources_of(plane, caller)) >= plane.quotas.partner_event_sources:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    await plane.resources.save(source, now=now)
    return {"EventSourceArn": source.arn}


@operation("events", "DescribePartnerEventSource")
async def describe_partner_event_source(
    plane: ControlPlane, caller: Caller, params: Params
) -> Output:
    """Return the name and ARN of a source that the caller offers."""
    source = _existing(plane, caller, params["Name"])[0]
    return {"Arn": source.arn, "Name": source.name}


@operation("events", "ListPartnerEventSources")
async def list_partner_event_sources(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the sources that the caller offers by name, each once."""
    prefix = params["NamePrefix"]
    arns = {
        source.name: source.arn
        for source in _sources_of(plane, caller)
        if source.name.startswith(prefix) and _stands(source)
    }
    shown, token = page(
        list(arns),
        lambda name: name,
        filter_text=f"ListPartnerEventSources/{prefix}",
        token=params.get("NextToken"),
        limit=params.get("Limit"),
    )
    sources = [{"Arn": arns[name], "Name": name} for name in shown]
    return {"PartnerEventSources": sources, "NextToken": token}


@operation("events", "ListPartnerEventSourceAccounts")
async def list_partner_event_source_accounts(
    plane: ControlPlane, caller: Caller, params: Params
) -> Output:
    """Return the accounts to which the caller offers a source."""
    name = params["EventSourceName"]
    shown, token = page(
        _existing(plane, caller, name),
        lambda source: source.account,
        filter_text=f"ListPartnerEventSourceAccounts/{name}",
        token=params.get("NextToken"),
        limit=params.get("Limit"),
    )
    accounts = [
        {
            "Account": source.account,
            "CreationTime": int(source.creation_time),
            "ExpirationTime": source.expiration_time and int(source.expiration_time),
            "State": str(source.state),
        }
        for source in shown
    ]
    return {"PartnerEventSourceAccounts": accounts, "NextToken": token}


@operation("events", "DeletePartnerEventSource", changes_resources=True)
async def delete_partner_event_source(
    plane: ControlPlane, caller: Caller, params: Params
) -> Output:
    """Withdraw a source from an account. One that does not exist is deleted already.

    Where the account has a bus for it, the source stays there as DELETED until the bus goes.
    """
    source = plane.resources.table(EventSource).get(f"{params['Account']}/{params['Name']}")
    if source is None or source.partner_account != caller.account:
        return {}
    now = plane.clock.now()
    if plane.resources.event_bus(source.account, source.name) is None:
        await plane.resources.remove(source, now=now)
    elif source.state is not EventSourceState.DELETED:
        await plane.resources.save(deleted(source), now=now)
    return {}


@operation("events", "PutPartnerEvents")
async def put_partner_events(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Put events of the caller's sources on the buses of the accounts that take them.

    Events of a source that is not ACTIVE are accepted and dropped.
    """
    offered = [source for source in _sources_of(plane, caller) if _stands(source)]
    results = await plane.ingest.put_partner_events(
        PartnerEventsCall(
            account=caller.account,
            entries=entries_of(params["Entries"]),
            sources=frozenset(source.name for source in offered),
            receivers={
                account: frozenset(
                    source.name
                    for source in offered
                    if source.account == account and source.state is EventSourceState.ACTIVE
                )
                for account in sorted({source.account for source in offered})
            },
        )
    )
    entries = [
        {"ErrorCode": result.code, "ErrorMessage": result.message}
        if isinstance(result, EntryError)
        else {"EventId": result}
        for result in results
    ]
    failed_count = sum(isinstance(result, EntryError) for result in results)
    return {"FailedEntryCount": failed_count, "Entries": entries}


def _stands(source: EventSource) -> bool:
    return source.state is not EventSourceState.DELETED


def _sources_of(plane: ControlPlane, caller: Caller) -> list[EventSource]:
    """Return what the caller offers, whatever the account that has it made of it."""
    now = plane.clock.now()
    return [
        source
        for source in plane.resources.table(EventSource).values()
        if source.partner_account == caller.account and source.exists_at(now)
    ]


def _existing(plane: ControlPlane, caller: Caller, name: str) -> list[EventSource]:
    """Return a source once for each account that has it. Those that were deleted are gone here."""
    found = [
        source for source in _sources_of(plane, caller) if source.name == name and _stands(source)
    ]
    if not found:
        raise ResourceNotFoundException(f"Event source {name} does not exist.")
    return found
