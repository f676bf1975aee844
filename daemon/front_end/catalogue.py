"""The problem types of CONTRACT §7: what each means and what to change. Served as pages, named in every error."""

from __future__ import annotations

from typing import Annotated

from msgspec import Struct

from daemon.described import described


class Culprit(Struct, frozen=True, omit_defaults=True):
    """A place that is wrong: in the body, or a parameter of the query."""

    detail: Annotated[str, described("What is wrong there, and what to change.", "is required; add it")]
    pointer: Annotated[str | None, described("A JSON Pointer (RFC 6901) into the request's body.", "/url")] = None
    parameter: Annotated[str | None, described("The name of a parameter of the query.", None)] = None


class Kind(Struct, frozen=True):
    """One problem type. `retry_after` (seconds) is set exactly where nothing was stored and trying again may help.
    `example` is the detail that such a document may have, `example_errors` its culprits."""

    slug: str
    status: int
    title: str
    meaning: str
    remedy: str
    example: str
    retry_after: int | None = None
    example_errors: tuple[Culprit, ...] = ()

    @property
    def type(self) -> str:
        """The URI reference of RFC 9457 §3.1.1; the daemon serves a page there."""
        return f"/problems/{self.slug}"


_KINDS = (
    Kind(
        "not-json",
        400,
        "Not JSON",
        "The body of the request could not be read as JSON text in UTF-8 (RFC 8259).",
        "Send one JSON object. The detail says at which byte reading stopped.",
        example="The body is not JSON: invalid character (byte 17). Send one JSON object in UTF-8.",
    ),
    Kind(
        "unauthorized",
        401,
        "No valid token",
        "The request carried no token, or one that is unknown, revoked or expired.",
        "Send the header “Authorization: Bearer <token>” with a token that is valid now. "
        "An operator makes one with POST /v1/tenants/{id}/tokens.",
        example="Send the header Authorization: Bearer <token>.",
    ),
    Kind(
        "forbidden",
        403,
        "Not allowed",
        "The token is valid but may not do this: it lacks the permission, names another tenant, its tenant is "
        "inactive, or it is not accepted on this address.",
        "Use a token with the permission that the detail names, or ask an operator.",
        example="The token lacks the permission manage_webhooks. Use one that has it.",
    ),
    Kind(
        "rate-limited",
        429,
        "Too many requests",
        "The token has made more requests than limits.requests_per_second and limits.request_burst allow. Nothing was "
        "stored.",
        "Wait for the seconds in the header Retry-After. The header RateLimit of every answer says how many requests "
        "may follow at once (r). Publish events in batches: each is one request.",
        retry_after=1,
        example="This token makes too many requests. Wait 1 s; publish events in batches.",
    ),
    Kind(
        "not-found",
        404,
        "Not found",
        "There is no such path, or no such object that this token may see.",
        "Check the path and the id. An object of another tenant looks exactly like one that does not exist.",
        example="There is no such object, or this token may not see it. Check the id.",
    ),
    Kind(
        "method-not-allowed",
        405,
        "Method not allowed",
        "The path exists, but not with this method.",
        "Use one of the methods that the header Allow lists.",
        example="This path does not take that method. It takes GET, HEAD, POST.",
    ),
    Kind(
        "conflict",
        409,
        "Conflict",
        "The request does not fit the present state of the object, or its id is taken.",
        "Read the object again, then do what the detail says.",
        example="There is a tenant with the id acme already. Choose another.",
    ),
    Kind(
        "idempotency-conflict",
        409,
        "Idempotency key used for something else",
        "An event with this idempotency key and different content has been accepted before.",
        "Use a new key for a new event; repeat a key only with exactly the same event.",
        example="This idempotency key was used for an event with other content. Use another key.",
    ),
    Kind(
        "not-finished",
        409,
        "Not finished",
        "The delivery is still pending or being sent.",
        "Wait until its status is final, then redeliver it.",
        example="The delivery is still being sent. Redeliver it when its status is final.",
    ),
    Kind(
        "webhook-inactive",
        409,
        "Webhook inactive",
        "The webhook is inactive or deleted: nothing is sent to it.",
        'Revive it with PATCH {"active": true} and try again.',
        example='The webhook is inactive. Revive it with PATCH {"active": true} and try again.',
    ),
    Kind(
        "tenant-inactive",
        409,
        "Tenant inactive",
        "An operator has made this tenant inactive: it accepts no events.",
        'Make it active with PATCH /v1/tenants/{id} {"active": true}, or publish for another tenant.',
        example="The tenant acme is inactive. Make it active, or publish for another.",
    ),
    Kind(
        "tenant-required",
        422,
        "Tenant required",
        "An operator's token belongs to no tenant, and this request needs one.",
        "Add ?tenant=<id> to the path or, when publishing, the field “tenant” to each event.",
        example="Say whose: add ?tenant=<id> to the path.",
    ),
    Kind(
        "limit-reached",
        409,
        "Limit reached",
        "One more would be over a limit of the configuration.",
        "Remove what is not needed, or ask the operator to raise the limit that the detail names.",
        example="There are 100 active webhooks already (limits.webhooks_per_tenant). Delete one that is not needed.",
    ),
    Kind(
        "too-large",
        413,
        "Too large",
        "The body, or one event in it, is larger than this daemon accepts there: publishing takes the most, every "
        "other route 64 KiB.",
        "Send less in one request. If the detail names a limit of the configuration, an operator can raise it.",
        example="The body has more than 4194304 bytes (server.max_body_bytes). Send less in one request.",
    ),
    Kind(
        "unsupported-media-type",
        415,
        "Unsupported media type",
        "The body is declared to be something else than JSON.",
        "Send “Content-Type: application/json”.",
        example="The content type is not JSON. Send Content-Type: application/json.",
    ),
    Kind(
        "invalid",
        422,
        "Invalid request",
        "The body is JSON, but a field or a query parameter is missing, unknown or has a value that is not allowed.",
        "Correct each entry of “errors”: “pointer” is its place in the body (RFC 6901), “parameter” its name in the "
        "query.",
        example="/url: is required; add it",
        example_errors=(Culprit("is required; add it", pointer="/url"),),
    ),
    Kind(
        "blocked-address",
        422,
        "Address blocked",
        "The URL names an address that this daemon does not connect to: only public addresses are allowed, so that "
        "no webhook reaches into the network the daemon runs in.",
        "Use a public address, or ask the operator to open this network with egress.allow.",
        example="10.0.0.1 is a private address. Use a public one, or open it with egress.allow.",
        example_errors=(Culprit("10.0.0.1 is a private address", pointer="/url"),),
    ),
    Kind(
        "fan-out-too-large",
        422,
        "Too many deliveries in one request",
        "Events times matching webhooks is over limits.deliveries_per_request.",
        "Publish fewer events in one request. The detail says how many would fit.",
        example="These events make more than 10000 deliveries (limits.deliveries_per_request). 400 of them fit.",
    ),
    Kind(
        "backlog-full",
        503,
        "Backlog full",
        "As many deliveries wait, or requests are in progress, as one tenant may have. Nothing was stored.",
        "Try again after the seconds in the header Retry-After. If it stays so, look which webhooks are slow.",
        retry_after=5,
        example="1000000 deliveries wait (limits.waiting_per_tenant). Try again soon.",
    ),
    Kind(
        "storage-unavailable",
        503,
        "Storage unavailable",
        "The database cannot be written or read just now. Nothing was stored.",
        "Try again after the seconds in the header Retry-After. Operators: GET /readyz says why.",
        retry_after=2,
        example="The disk is full. Nothing was stored; try again soon.",
    ),
    Kind(
        "draining",
        503,
        "Shutting down",
        "The daemon is about to stop and takes no new work. Nothing was stored.",
        "Try again after the seconds in the header Retry-After.",
        retry_after=5,
        example="The daemon is about to stop. Nothing was stored; try again soon.",
    ),
    Kind(
        "outcome-unknown",
        500,
        "Outcome unknown",
        "The request was being stored when storage stopped answering. It may or may not have been stored.",
        "Look whether it was, before sending it again. With an idempotency key, publishing again is safe.",
        example="The storage did not answer in time. Look whether it was stored before you send it again.",
    ),
    Kind(
        "internal",
        500,
        "Internal error",
        "The daemon has a fault. What happened is in its log.",
        "Try again; if it happens again, tell the operator the time of the request.",
        example="The daemon has a fault. What happened is in its log.",
    ),
)

KINDS = {kind.slug: kind for kind in _KINDS}
