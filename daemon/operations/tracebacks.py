"""An exception as one line: where it was raised, through what, and because of which other. Never a local's value."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, cast

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

_FRAMES = 40
_MEMBERS = 8
_EXCEPTIONS = 32


class Trace(Struct, frozen=True):
    """A trace as a field of a log line, which has it whole: it is made of code, not of text from outside."""

    text: str


def compact(error: BaseException, clean: Callable[[str], str]) -> str:
    """`module:line function > … > module:line function`, outermost first, then causes and the members of a group.

    `clean` is applied to every message but that of `error` itself, which is left out. Bounded, whatever the chain."""
    return _with_relatives(error, clean, {id(error)})


def _with_relatives(error: BaseException, clean: Callable[[str], str], told: set[int]) -> str:
    def named(relative: BaseException) -> str:
        name = clean(f"{type(relative).__name__}: {relative}")
        if id(relative) in told or len(told) >= _EXCEPTIONS:
            return name
        told.add(id(relative))
        return f"{name} ({_with_relatives(relative, clean, told)})"

    parts = [_frames(error)]
    if isinstance(error, BaseExceptionGroup):
        members = cast("BaseExceptionGroup[BaseException]", error).exceptions
        parts += [f"[{number}] {named(member)}" for number, member in enumerate(members[:_MEMBERS], 1)]
        parts += [f"and {len(members) - _MEMBERS} more"] if len(members) > _MEMBERS else []
    if error.__cause__:
        parts.append(f"caused by {named(error.__cause__)}")
    elif error.__context__ and not error.__suppress_context__:
        parts.append(f"while handling {named(error.__context__)}")
    return "; ".join(parts)


def trace(frames: Iterable[FrameType]) -> str:
    """Frames that run just now, outermost first, in the same form."""
    return _listed([(frame, frame.f_lineno) for frame in frames])


def _frames(error: BaseException) -> str:
    return _listed(list(traceback.walk_tb(error.__traceback__))) or "not raised"


def _listed(places: list[tuple[FrameType, int]]) -> str:
    frames = [f"{frame.f_globals.get('__name__', '?')}:{line} {frame.f_code.co_qualname}" for frame, line in places]
    if len(frames) > _FRAMES:
        half = _FRAMES // 2
        frames = [*frames[:half], f"… {len(frames) - _FRAMES} more …", *frames[-half:]]
    return " > ".join(frames)
