"""PutEvents entries into the log: validation, ids, envelopes and the append."""

from __future__ import annotations
