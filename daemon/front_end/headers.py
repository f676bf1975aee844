"""The header fields of requests and answers that documents name, each said once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Header:
    """`schema` is JSON Schema; `required`: an answer that has it at all times."""

    name: str
    description: str
    example: str | int
    schema: dict[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False


IDEMPOTENCY_KEY = Header(
    "Idempotency-Key",
    "The event's idempotencyKey, for an event that is published alone.",
    "order-4711",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
)
LOCATION = Header("Location", "The path of what was made.", "/v1/webhooks/w1X2y3Z4", required=True)
LOCATION_IF_MADE = replace(LOCATION, required=False)
RETRY_AFTER = Header(
    "Retry-After", "Seconds after which trying again may help.", 5, {"type": "integer", "minimum": 0}, required=True
)
WWW_AUTHENTICATE = Header(
    "WWW-Authenticate", "How to authenticate (RFC 6750).", 'Bearer realm="tenant-webhooks"', required=True
)
ALLOW = Header("Allow", "The methods that this path takes.", "GET, HEAD", required=True)
ETAG = Header("ETag", "Names this version (RFC 9110 §8.8.3).", '"3f1a8e55d0b7f21a"', required=True)
CONTENT_SECURITY_POLICY = Header(
    "Content-Security-Policy", "The page loads nothing and runs nothing.", "default-src 'none'", required=True
)
IF_NONE_MATCH = Header("If-None-Match", "The ETag of the version that you have.", '"3f1a8e55d0b7f21a"')

RATE_LIMIT = Header(
    "RateLimit",
    "How many requests may follow at once (r), and in how many seconds one more (t); where tokens are limited.",
    '"token";r=9;t=1',
)
RATE_LIMIT_POLICY = Header(
    "RateLimit-Policy", "The quota (q) of a window of seconds (w); where tokens are limited.", '"token";q=10;w=1'
)

X_REQUEST_ID = Header(
    "X-Request-Id",
    "What the request is called in its answer and in the log: the client's own, if it is 1 to 128 letters, digits and "
    "signs without quotes and brackets, or a new one.",
    "req_9f86d081884c7d659a2feaa0",
    required=True,
)
TRACEPARENT = Header(
    "traceparent",
    "The trace that this belongs to (W3C Trace Context); kept with the event and sent on to receivers.",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
)
LINK = Header("Link", "The next page (RFC 8288), if there is one.", '<?limit=50&cursor=…>; rel="next"')

OF_EVERY_REQUEST: tuple[Header, ...] = (X_REQUEST_ID,)
OF_EVERY_ANSWER: tuple[Header, ...] = (X_REQUEST_ID, RATE_LIMIT, RATE_LIMIT_POLICY)
"""Those of every route's requests and answers, problems too."""
