from __future__ import annotations

from daemon.operations.health import Readiness


def test_it_is_ready_when_no_part_says_otherwise() -> None:
    ready = Readiness()
    assert ready.reasons() == {}
    ready.set("starting", "the database is being opened")
    ready.set("storage", "disk full")
    ready.set("storage", "read-only file system")
    ready.clear("starting")
    ready.clear("draining")
    assert ready.reasons() == {"storage": "read-only file system"}
    ready.reasons().clear()
    assert ready.reasons()
    ready.clear("storage")
    assert ready.reasons() == {}
