"""Metrics as CloudWatch has them: what is recorded, kept and read, and what alarms make of it."""

from __future__ import annotations
