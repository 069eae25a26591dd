"""Copying an endpoint's events from the other Region's log into this one's."""

from __future__ import annotations
