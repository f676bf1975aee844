"""The keys of webhooks as requests bring them: one of the integrator's own, or none, and then we make it."""

from __future__ import annotations

import secrets
from typing import Annotated, Final

from msgspec import Meta

from daemon.delivery.signing import LONGEST_KEY, SHORTEST_KEY, parse_own_secret
from daemon.front_end.problems import Culprit, invalid

KEY_BYTES: Final = 32

OwnSecret = Annotated[
    str,
    Meta(
        description=f"A signing secret of your own instead of a generated one: `whsec_` and the base64 (standard "
        f"alphabet, padded) of {SHORTEST_KEY} to {LONGEST_KEY} random bytes. null stands for left out.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        extra_json_schema={
            "pattern": "^whsec_([A-Za-z0-9+/]{4}){8,20}([A-Za-z0-9+/]{4}|([A-Za-z0-9+/]{4})?[A-Za-z0-9+/][AQgw]==|"
            "[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"
        },
    ),
]


def key_of(secret: str | None) -> bytes:
    """The key that was brought, or a new one. Raises Problem `invalid`, which does not repeat the secret."""
    if secret is None:
        return secrets.token_bytes(KEY_BYTES)
    try:
        return parse_own_secret(secret)
    except ValueError as error:
        raise invalid([Culprit(str(error), pointer="/secret")]) from None
