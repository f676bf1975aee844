"""For every room: property tests have no deadline an example, since the machine's other work would fail them."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("steady", deadline=None)
settings.load_profile("steady")
