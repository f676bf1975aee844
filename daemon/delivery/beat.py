"""Moments that all tenants' actors share: what need not be at once, and has found no commit to travel in, is done then,
by all in one. Pure."""

from __future__ import annotations

from math import ceil

BEAT = 0.05
"""Seconds between two of them."""


def next_beat(instant: float) -> float:
    """The first one that is not before the instant."""
    return ceil(instant / BEAT) * BEAT
