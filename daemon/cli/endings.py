"""How a command on Trio ends: as one without it would."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click
import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_ENDINGS = (click.ClickException, SystemExit, KeyboardInterrupt)


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Runs `main` on Trio. Whatever click or the interpreter ends a program by leaves its exception group first:
    nurseries wrap it, and neither would know it then."""
    try:
        trio.run(main)
    except BaseExceptionGroup as group:
        ending = first(group, *_ENDINGS)
        if ending is None:
            raise
        raise ending from None


def first(group: BaseExceptionGroup[BaseException], *kinds: type[BaseException]) -> BaseException | None:
    """The first exception of these kinds in a group, however deep."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            error = first(cast("BaseExceptionGroup[BaseException]", error), *kinds)
        if isinstance(error, kinds):
            return error
    return None
