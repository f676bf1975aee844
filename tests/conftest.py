"""For every room: property tests have no deadline an example, since the machine's other work would fail them, and a
test that skips says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Generator

settings.register_profile("steady", deadline=None)
settings.load_profile("steady")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """pytest-trio takes what a test skipped with for a group, and skips in its place without the reason."""
    try:
        return (yield)
    except pytest.skip.Exception as skipped:
        given: BaseException | None = skipped.__context__
        while isinstance(given, BaseExceptionGroup):
            given = given.exceptions[0]
        if isinstance(given, pytest.skip.Exception):
            raise given from None
        raise
