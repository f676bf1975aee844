"""What a configured event type may be called, and its subject. Pure."""

from __future__ import annotations

import re

from daemon.events import PING, SESSION_COMPLETED

LONGEST_NAME = 100
_RESERVED_PREFIX = "webhook."
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)+")
_SUBJECT = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")
# Members that an event, or a batch of them, has beside its subject.
_TAKEN = {"Event", "Events", "Timestamp", "Tenant", "IdempotencyKey"}


def check_name(name: str) -> None:
    """Raises ValueError that says what to write."""
    if len(name) > LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError(
            f'the name of an event type is lower-case words between dots, such as "payment.completed", '
            f'of at most {LONGEST_NAME} characters; in TOML a name with dots is quoted: [events."payment.completed"]'
        )
    if name in (SESSION_COMPLETED, PING) or name.startswith(_RESERVED_PREFIX):
        raise ValueError(f"is built in: {SESSION_COMPLETED} and all of {_RESERVED_PREFIX}* are; choose another name")


def check_subject(subject: str) -> None:
    """Raises ValueError that says what to write."""
    if not _SUBJECT.fullmatch(subject):
        raise ValueError('write a name in PascalCase of at most 64 letters and digits, such as "Payment"')
    if subject in _TAKEN:
        raise ValueError("is what another member of the event is called; choose another name")


def field_of(subject: str) -> str:
    """The member of a published event that holds its subject: camelCase."""
    return subject[0].lower() + subject[1:]
