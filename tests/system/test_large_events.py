"""Large events of configured types hold up nobody else."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from api_house import house, problem

from daemon.event_types import subject
from daemon.settings import EventTypeSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import CodeType, FrameType

TYPES = {
    "thing.seen": EventTypeSettings(subject="Thing"),
    "reading.taken": EventTypeSettings(
        subject="Reading", text=b'{"properties":{"n":{"items":{"type":["number","object"],"multipleOf":0.5}}}}'
    ),
}
MANY = b'{"n":[' + b",".join([b"{}"] * 80_000) + b"]}"


@contextmanager
def read_on_the_event_loop() -> Iterator[list[int]]:
    """How often a subject was read by this thread, one number each."""
    code: CodeType = subject.read.__code__
    reads: list[int] = []

    def seen(frame: FrameType, what: str, _: object) -> None:
        if what == "call" and frame.f_code is code:
            reads.append(1)

    sys.setprofile(seen)
    try:
        yield reads
    finally:
        sys.setprofile(None)


async def test_a_large_subject_is_read_beside_the_event_loop_and_a_small_one_on_it(tmp_path: Path) -> None:
    async with house(tmp_path, events=TYPES) as api:
        acme = await api.tenant()
        for event, field in ((b"thing.seen", b"thing"), (b"reading.taken", b"reading")):
            head = b'{"event":"' + event + b'","idempotencyKey":"' + field + b'","' + field + b'":'
            with read_on_the_event_loop() as reads:
                first = await api.ask("POST", "/v1/events", token=acme, content=head + MANY + b"}")
                again = await api.ask("POST", "/v1/events", token=acme, content=head + MANY + b" }")
                other = await api.ask("POST", "/v1/events", token=acme, content=head + MANY[:-2] + b",{}]}}")
            assert not reads
            assert first.status_code == 202, first.text
            assert again.json() == {**first.json(), "duplicate": True}
            assert problem(other)[1] == "idempotency-conflict"
            shown = await api.ask("GET", f"/v1/events/{first.json()['id']}", token=acme)
            assert MANY in shown.content
        with read_on_the_event_loop() as reads:
            small = await api.ask("POST", "/v1/events", token=acme, content=b'{"event":"thing.seen","thing":{}}')
        assert small.status_code == 202
        assert len(reads) == 1


async def test_an_event_with_a_key_in_the_header_is_read_once(tmp_path: Path) -> None:
    async with house(tmp_path, events=TYPES) as api:
        acme = await api.tenant()
        key = {"idempotency-key": "k"}
        with read_on_the_event_loop() as reads:
            event = b'{"event":"thing.seen","thing":{"n":9007199254740993}}'
            first = await api.ask("POST", "/v1/events", token=acme, content=event, headers=key)
        assert len(reads) == 1
        again = await api.ask("POST", "/v1/events", token=acme, content=event, headers=key)
        assert again.json() == {**first.json(), "duplicate": True}
        other = await api.ask("POST", "/v1/events", token=acme, content=event.replace(b"3}", b"2}"), headers=key)
        assert problem(other)[1] == "idempotency-conflict"


async def test_numbers_that_would_hold_everybody_up_are_refused_with_a_pointer(tmp_path: Path) -> None:
    async with house(tmp_path, events=TYPES) as api:
        acme = await api.tenant()
        numbers = b",".join([b"1e4000"] * 30_000)
        event = b'{"event":"reading.taken","reading":{"n":[' + numbers + b"]}}"
        answer = await api.ask("POST", "/v1/events", token=acme, content=event)
        assert problem(answer) == (422, "invalid", "/reading/n/0")
        batch = b'{"events":[{"event":"thing.seen","thing":{}},' + event.replace(b"1e4000", b"1.5") + b"]}"
        answer = await api.ask("POST", "/v1/events", token=acme, content=batch)
        assert problem(answer) == (422, "invalid", "/events/1/reading")
