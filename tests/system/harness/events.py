"""Events to publish: the document's sample, and many like it."""

from __future__ import annotations

from typing import Any

EVENT_TYPE = "onboard.session.completed"

SAMPLE: dict[str, Any] = {
    "event": EVENT_TYPE,
    "timestamp": "2025-10-21T11:00:00Z",
    "session": {
        "id": "12345678-89ab-cdef-0123-456789abcdef",
        "status": "Complete",
        "progress": {
            "identity": {"completed": True, "confirmed": True, "completedAt": "2025-10-21T10:55:00Z"},
            "ais": {"completed": False, "confirmed": None, "completedAt": None},
        },
        "created": "2025-10-21T10:30:00Z",
        "updated": "2025-10-21T10:59:00Z",
    },
}


def session_event(name: str, *, key: str | None = None) -> dict[str, Any]:
    """An event about the session `name`."""
    event: dict[str, Any] = {"event": EVENT_TYPE, "session": {"id": name, "status": "Complete"}}
    return event if key is None else {**event, "idempotencyKey": key}
