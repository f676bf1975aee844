from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.storage.stores import Store, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "test.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    async with running(path) as running_store:
        yield running_store
