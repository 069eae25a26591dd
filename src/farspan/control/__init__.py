"""The control plane: one module per AWS resource, each operation a function. Never on an event's path."""

from __future__ import annotations
