"""Health checks: probes, the check's state, and the agreement of the observers."""

from __future__ import annotations
