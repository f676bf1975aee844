"""Moments that all tenants' actors share: what need not be at once is done then, by all in one commit. Pure."""

from __future__ import annotations

from math import ceil

BEAT = 0.01
"""Seconds between two of them."""


def next_beat(instant: float) -> float:
    """The first one that is not before the instant."""
    return ceil(instant / BEAT) * BEAT
