"""Bytes to parameters and back: AWS's protocols and signatures, without a server.

Nothing in here may do I/O, read a clock or roll dice.
"""

from __future__ import annotations
