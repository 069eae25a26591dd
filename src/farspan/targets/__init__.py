"""One module per kind of target: a batch of deliveries in, an outcome for each out."""

from __future__ import annotations
