"""The control plane: one module per AWS resource. Never on an event's path."""

from __future__ import annotations
