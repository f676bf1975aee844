"""What a webhook may have of its own in place of the settings: headers, a time limit, a limit of attempts at a time."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Protocol

from msgspec import Meta, UnsetType

from daemon.front_end.decoding import escape
from daemon.front_end.problems import MOST_ERRORS, Culprit
from daemon.static_headers import HIDDEN, MOST, MOST_BYTES, NAME, VALUE, faults, reserved_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Headers = Annotated[
    dict[str, str],
    Meta(
        description=f"At most {MOST} headers with {MOST_BYTES} bytes in all, sent with "
        f"each delivery beside ours. The values are secrets: they are shown as {HIDDEN}, and {HIDDEN} keeps the stored "
        f"one. Reserved are {reserved_names()}.",
        examples=[{"authorization": "Bearer s3cret"}],
        extra_json_schema={
            "maxProperties": MOST,
            "propertyNames": {"pattern": f"^{NAME}$"},
            "additionalProperties": {"type": "string", "pattern": f"^{VALUE}$"},
        },
    ),
]
Timeout = Annotated[
    float,
    Meta(ge=1, le=30, description="Seconds that one attempt may take, in place of delivery.timeout.", examples=[5]),
]
MaxConcurrent = Annotated[
    int,
    Meta(
        ge=1,
        description="Attempts at a time, at most delivery.max_concurrent_per_webhook. 1: one after the other, in the "
        "order of acceptance.",
        examples=[1],
    ),
]


class Submitted(Protocol):
    """The fields of a registration or change that are about these."""

    @property
    def headers(self) -> dict[str, str] | UnsetType | None: ...
    @property
    def max_concurrent(self) -> int | UnsetType | None: ...


def culprits(body: Submitted, stored: Mapping[str, str], most: int) -> Iterator[Culprit]:
    """What is wrong beyond the types. `stored`: the webhook's headers until now, `most`: what
    `maxConcurrent` may be."""
    if body.headers:
        for name, fault in islice(faults(body.headers, stored), MOST_ERRORS):
            yield Culprit(fault, pointer="/headers" if name is None else f"/headers/{escape(name)}")
    if isinstance(body.max_concurrent, int) and body.max_concurrent > most:
        yield Culprit(f"must be at most {most} (delivery.max_concurrent_per_webhook)", pointer="/maxConcurrent")
