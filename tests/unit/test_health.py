from __future__ import annotations

from daemon.operations.health import Part, Readiness


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


def test_what_is_watched_is_asked_each_time() -> None:
    troubles: dict[Part, str] = {}
    ready = Readiness()
    ready.watch(lambda: troubles)
    ready.set("starting", "a moment")
    troubles["storage"] = "disk I/O error"
    assert ready.reasons() == {"starting": "a moment", "storage": "disk I/O error"}
    assert not ready.draining
    ready.clear("starting")
    troubles.clear()
    assert ready.reasons() == {}
