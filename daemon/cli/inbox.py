"""What a careful receiver does with a delivery: verify it, take it once, answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct
from standardwebhooks import Webhook, WebhookVerificationError

from daemon.delivery.signing import parse_secret

if TYPE_CHECKING:
    from daemon.cli.receiver import Request

_REMEMBERED = 10_000


class Receipt(Struct, frozen=True):
    """What became of a request. `verified` is None where there was no secret to verify it with; `why` says what is
    wrong with one that was not taken."""

    status: int
    id: str | None = None
    verified: bool | None = None
    duplicate: bool = False
    why: str | None = None


class Inbox:
    """Remembers the last 10,000 ids. `secret`: `whsec_…`, or None to take everything unseen.

    Raises ValueError for a secret that is none, without repeating it."""

    def __init__(self, secret: str | None) -> None:
        self._verifier = None if secret is None else _verifier(secret)
        self._seen: dict[str, None] = {}

    @property
    def verifies(self) -> bool:
        return self._verifier is not None

    def take(self, request: Request) -> Receipt:
        """Answers 200 also to a duplicate: it has arrived, and its sender need not know that it is not the first."""
        if request.method != "POST":
            return Receipt(405, why=f"{request.method} is not how deliveries come")
        id = request.header("webhook-id")
        if self._verifier is not None:
            try:
                self._verifier.verify(request.body, dict(request.headers), json_parse=False)
            except (WebhookVerificationError, ValueError) as error:
                return Receipt(401, id=id, verified=False, why=str(error))
        # Only now: a forged id must not make the real delivery look like a duplicate.
        duplicate = id in self._seen
        if id is not None and not duplicate:
            self._remember(id)
        return Receipt(200, id=id, verified=None if self._verifier is None else True, duplicate=duplicate)

    def _remember(self, id: str) -> None:
        self._seen[id] = None
        if len(self._seen) > _REMEMBERED:
            del self._seen[next(iter(self._seen))]


def _verifier(secret: str) -> Webhook:
    parse_secret(secret)  # the library takes some texts that are none
    return Webhook(secret)
