"""Many deliveries to one target of an AWS service in one request: which go together. Pure.

Each record of a request is accepted or refused on its own, and that is what comes of its delivery:
its neighbours are not sent again for it. A request is kept well below what the services take,
because encoding and signing it holds up the event loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import msgspec

from farspan.model.arn import Arn, parse_arn
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.targets.aws_kinds import AwsKind, Input, kind_of
from farspan.targets.aws_wire import failure_of
from farspan.targets.base import (
    ERROR_FROM_TARGET,
    INVALID_JSON,
    INVALID_PARAMETER,
    SDK_CLIENT_ERROR,
)
from farspan.targets.call import Answer

ANSWER_BYTES_MAX: Final = 512 * 1024
"""What is read of an answer: 500 records with an error message each are below that."""

ALONE: Final = 32
"""Deliveries that are sent side by side where each is a request of its own."""

RECORD_OVERHEAD_BYTES: Final = 512
"""A partition key of 256 characters, and what stands around a record."""

Failures = dict[int, tuple[str, str]]
"""The records that were refused, by their number, each with a code and a message."""


class AnswerUnclear(Exception):
    """The answer does not say what became of the records."""


@dataclass(frozen=True, slots=True)
class AwsBatch:
    """An operation that takes many of what a kind's own operation takes one of.

    `lane_count` is how many deliveries are worked on together, in one request or several.
    """

    operation: str
    count_max: int
    bytes_max: int
    lane_count: int
    join: Callable[[Sequence[Input]], Input]
    failures: Callable[[bytes, int], Failures]
    carries_trace: bool


def _join_kinesis(inputs: Sequence[Input]) -> Input:
    records = [{"Data": one["Data"], "PartitionKey": one["PartitionKey"]} for one in inputs]
    return {"StreamName": inputs[0]["StreamName"], "Records": records}


def _join_firehose(inputs: Sequence[Input]) -> Input:
    return {
        "DeliveryStreamName": inputs[0]["DeliveryStreamName"],
        "Records": [one["Record"] for one in inputs],
    }


def _join_sns(inputs: Sequence[Input]) -> Input:
    entries = [{"Id": str(number), "Message": one["Message"]} for number, one in enumerate(inputs)]
    return {"TopicArn": inputs[0]["TopicArn"], "PublishBatchRequestEntries": entries}


class _Record(msgspec.Struct, rename="pascal"):
    error_code: str | None = None
    error_message: str | None = None


class _Records(msgspec.Struct):
    failed_record_count: int = msgspec.field(default=0, name="FailedRecordCount")
    failed_put_count: int = msgspec.field(default=0, name="FailedPutCount")
    records: list[_Record] = msgspec.field(default_factory=list, name="Records")
    responses: list[_Record] = msgspec.field(default_factory=list, name="RequestResponses")


_decode_records = msgspec.json.Decoder(_Records).decode


def _failed_records(body: bytes, count: int) -> Failures:
    """Return the failures in an answer of PutRecords and PutRecordBatch."""
    try:
        answer = _decode_records(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise AnswerUnclear from error
    failures = {
        number: (record.error_code, record.error_message or "")
        for number, record in enumerate(answer.records or answer.responses)
        if record.error_code
    }
    is_told = len(failures) == answer.failed_record_count + answer.failed_put_count
    if not is_told or max(failures, default=0) >= count:
        raise AnswerUnclear
    return failures


_FAILED: Final = re.compile(rb"<Failed>(.*?)</Failed>", re.DOTALL)
_MEMBER: Final = re.compile(rb"<member>(.*?)</member>", re.DOTALL)
_FIELD: Final = re.compile(rb"<(Id|Code|Message)>([^<]*)</", re.DOTALL)


def _failed_entries(body: bytes, count: int) -> Failures:
    """Return the failures in an answer of PublishBatch."""
    failures: Failures = {}
    for failed in _FAILED.findall(body):
        for member in _MEMBER.findall(failed):
            fields = {name: text.decode(errors="replace") for name, text in _FIELD.findall(member)}
            number = fields.get(b"Id", "")
            if not number.isdecimal() or int(number) >= count or b"Code" not in fields:
                raise AnswerUnclear
            failures[int(number)] = (fields[b"Code"], fields.get(b"Message", ""))
    return failures


BATCHES: Final = {
    # 500 records and 5 MiB (API reference, PutRecords).
    "kinesis": AwsBatch(
        "PutRecords", 500, 2**20, 500, _join_kinesis, _failed_records, carries_trace=False
    ),
    # 500 records and 4 MiB (API reference, PutRecordBatch).
    "firehose": AwsBatch(
        "PutRecordBatch", 500, 2**20, 500, _join_firehose, _failed_records, carries_trace=False
    ),
    # 10 messages and 256 KiB (API reference, PublishBatch).
    "sns": AwsBatch("PublishBatch", 10, 2**18, 160, _join_sns, _failed_entries, carries_trace=True),
}
"""Batch operations, by botocore's name of the service. Subscribers of a topic get its request's
trace, so that only messages of one trace go together; streams pass none on."""


@lru_cache(maxsize=4_096)
def kind_named(target_arn: str) -> tuple[Arn, AwsKind] | None:
    """Return a target's ARN as its parts, and its kind."""
    arn = parse_arn(target_arn)
    kind = kind_of(arn) if arn is not None else None
    return (arn, kind) if arn is not None and kind is not None else None


def lane_count(service: str) -> int:
    """Return how many deliveries to a service are worked on together."""
    batch = BATCHES.get(service)
    return ALONE if batch is None else batch.lane_count


def batched(service: str) -> tuple[str, ...]:
    """Return the batch operation of a service, where it has one."""
    return (BATCHES[service].operation,) if service in BATCHES else ()


def portions_of(deliveries: Sequence[Delivery]) -> list[list[int]]:
    """Return the places of the deliveries, those together that one request can carry."""
    portions: list[list[int]] = []
    growing: dict[tuple[str, str | None], tuple[list[int], int]] = {}
    for place, delivery in enumerate(deliveries):
        known = kind_named(delivery.target_arn)
        batch = BATCHES.get(known[1].service) if known is not None else None
        if batch is None:
            portions.append([place])
            continue
        key = (delivery.target_arn, delivery.trace_header if batch.carries_trace else None)
        portion, byte_count = growing.get(key, ([], 0))
        byte_count += len(delivery.payload) + RECORD_OVERHEAD_BYTES
        if not portion or len(portion) >= batch.count_max or byte_count > batch.bytes_max:
            portion, byte_count = [], len(delivery.payload) + RECORD_OVERHEAD_BYTES
            portions.append(portion)
        portion.append(place)
        growing[key] = (portion, byte_count)
    return portions


def outcomes_of(service: str, answer: Answer, count: int) -> list[Outcome]:
    """Return what an answer to a batch comes to for each of its records."""
    whole = failure_of(service, answer)
    if whole is not None:
        return [whole] * count
    try:
        failures = BATCHES[service].failures(answer.body, count)
    except AnswerUnclear:
        message = f"The answer of {service} does not say which records it took."
        unclear = Outcome(
            verdict=Verdict.RETRYABLE, error_code=ERROR_FROM_TARGET, error_message=message
        )
        return [unclear] * count
    return [
        failure_of(service, answer, failures[number]) or DELIVERED
        if number in failures
        else DELIVERED
        for number in range(count)
    ]


def is_refused(outcomes: Sequence[Outcome]) -> bool:
    """Tell whether a request of several was refused for what may be the fault of one of them."""
    codes = (INVALID_JSON, INVALID_PARAMETER, SDK_CLIENT_ERROR)
    return len(outcomes) > 1 and all(
        outcome.verdict is Verdict.PERMANENT and outcome.error_code in codes for outcome in outcomes
    )
