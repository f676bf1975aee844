"""Event types: their names, the schema they are published with, and the exact bytes receivers are sent (CONTRACT §1)."""

from __future__ import annotations

SESSION_COMPLETED = "onboard.session.completed"
PING = "webhook.ping"
SUBSCRIBABLE = frozenset({SESSION_COMPLETED})
