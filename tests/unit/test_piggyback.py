"""Those that can wait are called once, a few at a time, the longest waiting first."""

from __future__ import annotations

from contextlib import ExitStack

from daemon.delivery.piggyback import Piggyback


class _Patient:
    def __init__(self, name: int, called: list[int]) -> None:
        self._name = name
        self._called = called

    def hurry(self) -> None:
        self._called.append(self._name)


def test_the_longest_waiting_come_along_first_a_few_at_a_time_and_once() -> None:
    platform, called = Piggyback(), list[int]()
    with ExitStack() as stack:
        for name in range(6):
            stack.enter_context(platform.waiting(_Patient(name, called)))
        assert platform.call()
        assert called == [0, 1, 2, 3]
        assert platform.call()
        assert called == [0, 1, 2, 3, 4, 5]
        assert not platform.call()


def test_whoever_has_gone_is_not_called() -> None:
    platform, called = Piggyback(), list[int]()
    with platform.waiting(_Patient(1, called)):
        pass
    assert not platform.call()
    assert called == []
