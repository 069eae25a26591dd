"""CloudWatch Logs: events of log groups, what they are read by, and filter patterns."""

from __future__ import annotations
