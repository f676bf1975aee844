"""Fixtures of the system room: daemons and receivers that end with the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from harness.starting import Daemons, Receivers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    import trio


@pytest.fixture
async def daemons(nursery: trio.Nursery, tmp_path: Path) -> AsyncIterator[Daemons]:
    started = Daemons(nursery, tmp_path)
    yield started
    await started.aclose()


@pytest.fixture
async def receivers(nursery: trio.Nursery) -> Receivers:
    return Receivers(nursery)
