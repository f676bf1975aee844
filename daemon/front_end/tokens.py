"""What tokens are made of, and what is kept of them."""

from __future__ import annotations

import hashlib
import secrets


def new_token() -> str:
    """The text of a new token: `tw_` and 256 random bits."""
    return f"tw_{secrets.token_urlsafe(32)}"


def digest(token: str) -> bytes:
    """What is kept of a token. Plain SHA-256: its text is random enough that nothing slower would protect it better."""
    return hashlib.sha256(token.encode()).digest()
