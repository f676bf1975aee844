"""Names for things: webhooks short, the rest time-ordered so that their index grows at one end only."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def now_ms() -> int:
    """The wall clock: milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


def time_prefix(at: int) -> str:
    """`at` (milliseconds) as 12 hex digits: ids made later sort later."""
    return f"{at:012x}"


def new_webhook_id() -> str:
    """`w` and seven base62 characters; the caller looks whether it is taken (3.5e12 values)."""
    return "w" + "".join(secrets.choice(_BASE62) for _ in range(7))


def new_event_ids(at: int, count: int) -> Iterator[str]:
    """So many: `evt_`, the time, 80 random bits. The kernel is asked for those of all at once."""
    prefix, random = f"evt_{time_prefix(at)}", secrets.token_hex(10 * count)
    return (prefix + random[start : start + 20] for start in range(0, len(random), 20))


def new_event_id(at: int) -> str:
    """One of them."""
    return next(new_event_ids(at, 1))


def new_delivery_id(at: int) -> str:
    """`dlv_`, the time, 80 random bits; fan-out makes the same form in SQL."""
    return f"dlv_{time_prefix(at)}{secrets.token_hex(10)}"


def new_recovery_id(at: int) -> str:
    """`rec_`, the time, 80 random bits."""
    return f"rec_{time_prefix(at)}{secrets.token_hex(10)}"


def new_token_id() -> str:
    """`tok_` and 64 random bits."""
    return f"tok_{secrets.token_hex(8)}"
