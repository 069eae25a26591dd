"""`python -m farspan` is `farspan`."""

from __future__ import annotations

from farspan.cli import main

main()
