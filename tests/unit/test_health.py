from __future__ import annotations

from daemon.operations.health import Readiness


def test_it_is_ready_when_no_part_says_otherwise() -> None:
    ready = Readiness()
    assert ready.reasons() == {}
    ready.set("starting", "the database is being opened")
    ready.set("draining", "told to stop")
    ready.set("draining", "told to stop at once")
    ready.clear("starting")
    ready.clear("starting")
    assert ready.reasons() == {"draining": "told to stop at once"}
    ready.reasons().clear()
    assert ready.reasons()
    ready.clear("draining")
    assert ready.reasons() == {}
