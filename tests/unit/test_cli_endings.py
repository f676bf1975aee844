"""A command on Trio ends as one without it would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
import trio

from daemon.cli.endings import run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def failing(error: BaseException) -> Callable[[], Awaitable[None]]:
    async def main() -> None:
        async with trio.open_nursery(), trio.open_nursery():
            raise error

    return main


@pytest.mark.parametrize(
    "error", [click.ClickException("no"), click.UsageError("no"), SystemExit(1), KeyboardInterrupt()]
)
def test_what_click_or_python_end_a_program_by_comes_out_as_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as ended:
        run(failing(error))
    assert ended.value is error


def test_a_bug_keeps_its_group() -> None:
    with pytest.raises(ExceptionGroup):
        run(failing(ZeroDivisionError()))


def test_what_ends_well_ends() -> None:
    ended = []

    async def main() -> None:
        ended.append(True)

    run(main)
    assert ended
