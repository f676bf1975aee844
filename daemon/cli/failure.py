"""Why a command could not do what it was asked: exit code 1, worded for the person at the terminal."""

from __future__ import annotations

import click
import msgspec
from msgspec import Struct


class Culprit(Struct, frozen=True):
    """One entry of a problem's `errors` (CONTRACT §7)."""

    detail: str = ""
    pointer: str | None = None
    parameter: str | None = None

    @property
    def place(self) -> str:
        """Where in the request; empty: all of it."""
        return (self.parameter if self.pointer is None else self.pointer) or ""


class Problem(Struct, frozen=True, omit_defaults=True):
    """An RFC 9457 problem document, as far as the command line shows it."""

    type: str = "about:blank"
    title: str = ""
    status: int | None = None
    detail: str = ""
    errors: tuple[Culprit, ...] = ()


class Failure(click.ClickException):
    """`body` is the API's own problem document when there is one; `retry_after` its header of that name."""

    exit_code = 1

    def __init__(self, problem: Problem, *, body: bytes | None = None, retry_after: str | None = None) -> None:
        culprits = (f"{culprit.pointer or culprit.parameter}: {culprit.detail}" for culprit in problem.errors)
        super().__init__(" ".join([problem.detail or problem.title, *culprits]))
        self.problem = problem
        self.body = body if body is not None else msgspec.json.encode(problem)
        self.retry_after = retry_after


def failure(title: str, detail: str) -> Failure:
    """A failure of our own, in the API's shape: programs that asked for JSON get one shape for all."""
    return Failure(Problem(title=title, detail=detail))
