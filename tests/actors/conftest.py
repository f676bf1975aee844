from __future__ import annotations

import pytest
from recorded_log import RecordedLog


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> RecordedLog:
    return RecordedLog(monkeypatch)
