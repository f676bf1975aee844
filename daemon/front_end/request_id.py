"""`X-Request-Id`: what a request is called in its answer and in the log. Pure, but for the randomness of a new one."""

from __future__ import annotations

import re
import secrets

HEADER = "X-Request-Id"
STATE = "request_id"
"""Where in its state a connection finds what the application calls the request."""

# Visible ASCII, without what quotes, escapes or brackets in any log format.
_ALLOWED = re.compile(r"[A-Za-z0-9!#$%&*+,./:;=?@^_|~-]{1,128}")


def request_id(given: str | None) -> str:
    """The client's own, if it is 1 to 128 characters that can do no harm in a log, else a new one."""
    return given if given is not None and _ALLOWED.fullmatch(given) else new_request_id()


def new_request_id() -> str:
    return f"req_{secrets.token_hex(12)}"
