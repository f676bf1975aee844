"""The query of a request as a typed record: every parameter known, given once and valid, or 422 with its name. Pure."""

from __future__ import annotations

import re
from functools import cache
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta, Struct

from daemon.described import described
from daemon.front_end.decoding import sentence
from daemon.front_end.problems import MOST_ERRORS, Culprit, invalid
from daemon.instants import parse_instant

if TYPE_CHECKING:
    from daemon.model import Millis

Q = TypeVar("Q", bound="NoQuery")

DEFAULT_LIMIT = 50

Since = Annotated[
    str, described("Created then or later: RFC 3339 with a zone.", "2026-01-31T08:00:00Z", format="date-time")
]
Until = Annotated[str, described("Created before: RFC 3339 with a zone.", "2026-01-31T09:00:00Z", format="date-time")]

_WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")

Limit = Annotated[int, Meta(ge=1, le=200), described("How many at most on this page; 50 unless it is said.", 50)]
Cursor = Annotated[str, described("The “next” of the page before.")]
OfTenant = Annotated[str, described("Whose: for the operator's token. A tenant's own may name its own.")]


class NoQuery(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A route without query parameters: one that is given is unknown. The root of those with some."""


class Tenanted(NoQuery, frozen=True, kw_only=True):
    """`tenant` names the tenant an operator acts for; a tenant's own token may name its own."""

    tenant: OfTenant | None = None


class Page(NoQuery, frozen=True, kw_only=True):
    """`cursor` is the `next` of the page before."""

    limit: Limit | None = None
    cursor: Cursor | None = None


class TenantedPage(Page, frozen=True, kw_only=True):
    """A list that an operator may ask for one tenant; `tenant` as in `Tenanted`."""

    tenant: OfTenant | None = None


class Timed(TenantedPage, frozen=True, kw_only=True):
    """A list of what was created in a time: `since` inclusive, `until` exclusive; see `instant`."""

    since: Since | None = None
    until: Until | None = None


def instant(parameter: str, text: str | None) -> Millis | None:
    """Raises Problem `invalid`."""
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError as error:
        hint = "; write the + of an offset as %2B" if " " in text else ""
        raise invalid([Culprit(f"{error}{hint}", parameter=parameter)]) from None


def parse(query: bytes) -> list[tuple[str, str]]:
    """The pairs of a query string as they stand (WHATWG URL §5.1)."""
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []


def typed(pairs: list[tuple[str, str]], kind: type[Q]) -> Q:
    """The pairs as `kind`. Raises Problem `invalid` with every parameter that is unknown, repeated or not valid, of
    very many with some."""
    if not pairs:
        return kind()
    known = _parameters(kind)
    values: dict[str, int | str] = {}
    errors: list[Culprit] = []
    for name, value in pairs:
        if len(errors) == MOST_ERRORS:
            break
        if name not in known:
            errors.append(Culprit(f"is not a parameter of this path; {_known(list(known))}", parameter=name))
        elif name in values:
            errors.append(Culprit("is given twice; give it once", parameter=name))
        else:
            values[name] = int(value) if name == "limit" and _WHOLE_NUMBER.fullmatch(value) else value
    for name in values:
        try:
            msgspec.convert(values[name], known[name])
        except msgspec.ValidationError as error:
            # Whatever it is not, it came as text: that part of the sentence helps nobody here.
            wrong = sentence(str(error), known[name]).partition(", not ")[0]
            errors.append(Culprit(wrong, parameter=name))
    if errors:
        raise invalid(errors)
    return msgspec.convert(values, kind)


@cache
def _parameters(kind: type[NoQuery]) -> dict[str, Any]:
    """Names and types, without null, which no query can say: looking them up is slow."""
    return {
        field.encode_name: next(one for one in get_args(field.type) if one is not NoneType)
        for field in msgspec.structs.fields(kind)
    }


def _known(names: list[str]) -> str:
    return f"it takes {', '.join(names)}" if names else "it takes none"
