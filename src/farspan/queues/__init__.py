"""The SQS-compatible queues, which are lists of durable timers."""

from __future__ import annotations
