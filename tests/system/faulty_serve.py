"""`farspan serve` on a disk whose syncs fail for as long as a file exists.

Usage: faulty_serve.py SWITCH_FILE WORDS...
"""

from __future__ import annotations

import sys
from pathlib import Path

import apsw

from farspan.cli import main

SWITCH = Path(sys.argv[1])


class Disk(apsw.VFS):
    """SQLite's own file system with other files."""

    def xOpen(  # noqa: N802 - SQLite's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        """Open a file that fails when the disk does."""
        return DiskFile("unix", name, flags)


class DiskFile(apsw.VFSFile):
    """One file on the disk."""

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        """Sync, or fail."""
        if SWITCH.exists():
            raise apsw.IOError("the disk is on fire")
        super().xSync(flags)


disk = Disk("faulty", "unix", makedefault=True)
main(sys.argv[2:])
