"""Global endpoints: which Region an endpoint routes to, and how a request gets there."""

from __future__ import annotations
