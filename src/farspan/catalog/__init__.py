"""The control plane's resources as the data plane reads them, here and from the other Regions."""

from __future__ import annotations
