"""Farspan: a self-hosted event bus that speaks the Amazon EventBridge API."""

from __future__ import annotations

import os
import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path

__version__ = "0.1.0"

if os.environ.get("FARSPAN_PURE"):
    # A wheel may have `pattern` both as Python and as machine code. This finder sees the former.
    _pattern = str(Path(__file__).parent / "pattern")
    sys.path_importer_cache[_pattern] = FileFinder(_pattern, (SourceFileLoader, SOURCE_SUFFIXES))
