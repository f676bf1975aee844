"""What is published, and what of it a receiver gets: the document's sample event."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
from harness.events import SAMPLE

from daemon import events
from daemon.delivery.target import Target
from daemon.egress.request import serialise
from daemon.identifiers import new_event_id, now_ms
from daemon.model import Endpoint
from tests.bench.load_client import Sent

if TYPE_CHECKING:
    from collections.abc import Sequence


_MOST_BYTES = 4 * 2**20
MOST = 1000
"""Events in the largest batch that the daemon's defaults allow."""


def publishing(token: str, batch: int | None = None) -> Sent:
    """A request that publishes one event, or a batch of so many."""
    body = SAMPLE if batch is None else {"events": [SAMPLE] * batch}
    return Sent("POST", "/v1/events", token, json.dumps(body))


def largest(token: str) -> Sent:
    """A batch of the most events that takes all the bytes a body may have by default: texts of the greatest length, in
    characters that are escaped, and white space for the rest."""
    session = {**SAMPLE["session"], "id": "\u4e2d" * 128, "status": "\u4e2d" * 64}
    event = json.dumps({**SAMPLE, "session": session})
    event += " " * (_MOST_BYTES // MOST - len(event) - 2)
    return Sent("POST", "/v1/events", token, f'{{"events":[{",".join([event] * MOST)}]}}')


def publishing_for(tenants: Sequence[str], operator_token: str) -> Sent:
    """A batch with one event for each of the tenants."""
    body = {"events": [{**SAMPLE, "tenant": tenant} for tenant in tenants]}
    return Sent("POST", "/v1/events", operator_token, json.dumps(body))


def published_ids(body: str) -> list[str]:
    """The ids of the events that a 202 names."""
    answer = json.loads(body)
    return [event["id"] for event in answer["data"]] if "data" in answer else [answer["id"]]


def payload() -> bytes:
    return events.payload(events.decode(msgspec.json.encode(SAMPLE)), now_ms())


def delivered(url: str) -> bytes:
    """The whole request that the daemon would make of the sample: the bytes that the bare loop posts."""
    target = Target(Endpoint(1, "w0000000", "bench", url, (b"k" * 32,)))
    return serialise(target.head(new_event_id(now_ms()), payload(), now_ms() // 1000), payload())
