"""The daemon's log, kept in a list instead of written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import structs

from daemon.operations.logs import get_logger

if TYPE_CHECKING:
    import pytest
    from msgspec import Struct


class RecordedLog:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._lines: list[tuple[str, str, dict[str, object]]] = []
        for level in ("info", "warning", "error"):
            monkeypatch.setattr(get_logger(), level, self._recorder(level))
        monkeypatch.setattr(get_logger(), "record", self._record)

    def lines(self, event: str) -> list[dict[str, object]]:
        return [fields for _, name, fields in self._lines if name == event]

    def _record(self, event: str, record: Struct) -> None:
        self._lines.append(("info", event, structs.asdict(record)))

    def _recorder(self, level: str) -> object:
        return lambda event, **fields: self._lines.append((level, event, fields))
