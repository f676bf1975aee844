"""Errors as RFC 9457 problem documents, and the exception that carries one to the edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Struct

from daemon.described import described
from daemon.front_end.catalogue import KINDS, Culprit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from daemon.refusals import Refusal

CONTENT_TYPE = "application/problem+json"
MOST_ERRORS = 20
"""Culprits that one answer names: it must not grow with what was sent."""


class ProblemDocument(Struct, frozen=True, omit_defaults=True):
    """Why a request was declined, and what to change (RFC 9457)."""

    type: Annotated[str, described("The kind of problem: the path of a page about it.", "/problems/invalid")]
    title: Annotated[str, described("The same in a few words.", "Invalid request")]
    status: Annotated[int, described("The status of the answer.", 422)]
    detail: Annotated[str, described("What to change in this request.", "/url: is required; add it")]
    errors: Annotated[tuple[Culprit, ...], described("Each place that is wrong; at most 20.")] = ()
    parts: Annotated[dict[str, str], described("Of /readyz alone: what is not ready, and why.", {})] = {}


class Problem(Exception):
    """The answer to this request is a problem of CONTRACT §7. `detail` says what to change."""

    def __init__(
        self,
        slug: str,
        detail: str,
        *,
        errors: Sequence[Culprit] = (),
        headers: Mapping[str, str] | None = None,
        parts: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(slug, detail)
        kind = KINDS[slug]
        self.slug = slug
        self.status = kind.status
        self.headers = dict(headers or {})
        if kind.retry_after is not None:
            self.headers.setdefault("Retry-After", str(kind.retry_after))
        self.document = ProblemDocument(kind.type, kind.title, kind.status, detail, tuple(errors), dict(parts or {}))

    def body(self) -> bytes:
        return msgspec.json.encode(self.document)


def at_pointer(slug: str, pointer: str, detail: str) -> Problem:
    """A problem with one culprit in the body."""
    return Problem(slug, f"{pointer or 'The body'}: {detail}", errors=(Culprit(detail, pointer=pointer),))


def invalid(errors: Sequence[Culprit]) -> Problem:
    """422 for one or more culprits, of which `MOST_ERRORS` are named; the detail names the first, and how many more
    there are."""
    errors = errors[:MOST_ERRORS]
    first = errors[0]
    where = f"Query parameter {first.parameter}" if first.parameter is not None else first.pointer or "The body"
    more = f" ({len(errors) - 1} more in errors)" if len(errors) > 1 else ""
    return Problem("invalid", f"{where}: {first.detail}{more}", errors=errors)


def from_refusal(refusal: Refusal) -> Problem:
    """What a room behind us declined to do, as the problem it is."""
    if refusal.slug == "not-found":
        return not_found()
    if refusal.pointer is None:
        return Problem(refusal.slug, refusal.detail)
    return Problem(refusal.slug, refusal.detail, errors=(Culprit(refusal.detail, pointer=refusal.pointer),))


def not_found() -> Problem:
    """The one answer for what does not exist and for what belongs to another tenant: the same bytes."""
    return Problem("not-found", "There is no such object, or this token may not see it. Check the id.")
