"""From the log to the targets: match, plan, attempt, retry or dead letter."""

from __future__ import annotations
