"""The sample session of CONTRACT §1: as it is published, and the exact bytes that receivers get."""

from __future__ import annotations

PUBLISHED = (
    b'{"event":"onboard.session.completed","timestamp":"2025-10-21T11:00:00Z",'
    b'"session":{"id":"12345678-89ab-cdef-0123-456789abcdef","status":"Complete",'
    b'"progress":{"identity":{"completed":true,"confirmed":true,"completedAt":"2025-10-21T10:55:00Z"},'
    b'"ais":{"completed":false,"confirmed":null,"completedAt":null}},'
    b'"created":"2025-10-21T10:30:00Z","updated":"2025-10-21T10:59:00Z"}}'
)
DELIVERED = (
    b'{"Event":"onboard.session.completed","Timestamp":"2025-10-21T11:00:00Z",'
    b'"Session":{"Id":"12345678-89ab-cdef-0123-456789abcdef","Status":"Complete",'
    b'"Progress":{"Identity":{"Completed":true,"Confirmed":true,"CompletedAt":"2025-10-21T10:55:00Z"},'
    b'"Ais":{"Completed":false,"Confirmed":null,"CompletedAt":null}},'
    b'"Created":"2025-10-21T10:30:00Z","Updated":"2025-10-21T10:59:00Z"}}'
)
