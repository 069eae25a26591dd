"""A drill's receivers: they take what comes out of both Regions' queues, into the ledger.

An event counts as available from when its queue had it (SentTimestamp), not from when somebody
asked; so asking may be slow, and leaves the machine to what is measured.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from farspan.drill.ledger import Ledger, Receipt

RECEIVER_COUNT = 3
PAUSE_SECONDS = 0.3
"""How long a receiver lets messages gather that got fewer than a whole batch."""

BATCH_COUNT = 10
WAIT_SECONDS = 1


class Receivers:
    """Receives until `stop`. `clients` are SQS clients by Region, `urls` the queues' URLs.

    `began_at` is when the ledger's time began, in seconds since the epoch.
    """

    def __init__(
        self,
        clients: Mapping[str, Any],
        urls: Mapping[str, str],
        ledger: Ledger,
        *,
        clock: Callable[[], float],
        began_at: float,
    ) -> None:
        self._clients = clients
        self._urls = urls
        self._ledger = ledger
        self._clock = clock
        self._began_at = began_at
        self._stopping = threading.Event()
        self.answers = dict.fromkeys(urls, True)
        """Whether a Region's queue answered the last time it was asked."""

        self._threads = [
            threading.Thread(
                target=self._work, args=(region,), name=f"receiver-{region}-{n}", daemon=True
            )
            for region in urls
            for n in range(RECEIVER_COUNT)
        ]

    def start(self) -> None:
        """Begin to receive."""
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float) -> None:
        """Stop receiving, and wait for what is under way for some time at the most."""
        self._stopping.set()
        deadline = self._clock() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock()))

    def _work(self, region: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        while not self._stopping.is_set():
            count = 0
            try:
                count = self._receive(region)
                self.answers[region] = True
            except (BotoCoreError, ClientError):
                self.answers[region] = False
            if count < BATCH_COUNT:
                self._stopping.wait(PAUSE_SECONDS)

    def _receive(self, region: str) -> int:
        sqs, url = self._clients[region], self._urls[region]
        reply = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=BATCH_COUNT,
            WaitTimeSeconds=WAIT_SECONDS,
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        now = self._clock()
        messages = reply.get("Messages", [])
        for message in messages:
            sent_at = int(message["Attributes"]["SentTimestamp"]) / 1_000 - self._began_at
            event_id = msgspec.json.decode(message["Body"])["id"]
            receipt = Receipt(region, event_id, message["MessageId"], min(now, max(0.0, sent_at)))
            self._ledger.receive(receipt)
        if messages:
            sqs.delete_message_batch(
                QueueUrl=url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages)
                ],
            )
        return len(messages)
