"""The daemon's log: `log = get_logger()` at import, `log.info("webhook.created", tenant=…)` anywhere: one line.

`Logger` in front, `rendering` in the middle, `LogWriter` behind. Until `start`, warnings and errors go to standard
error as they come and the rest nowhere, so that a module works without a daemon around it.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Protocol, TextIO

from msgspec import Struct, structs

from daemon.operations.journald import SOCKET, JournalSink, leads_to_journal
from daemon.operations.log_sinks import Sink, StreamSink
from daemon.operations.log_writer import BUFFER_BYTES, LogWriter
from daemon.operations.rendering import console_line, fallback_line, json_line, json_record

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon.settings import LoggingSettings
    from daemon.settings.records import LogFormat

    Render = Callable[[str, str, dict[str, object]], bytes]
    RenderRecord = Callable[[str, str, Struct], bytes]

__all__ = ["LogWriter", "Logger", "get_logger", "start"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Log(Protocol):
    def __call__(self, event: str, /, **fields: object) -> None: ...


def _nowhere(event: str, /, *record: Struct, **fields: object) -> None:
    """A level that is filtered out: nothing is bound, rendered or looked up."""


class Logger:
    """`event` is a stable name, `fields` its values: text is cleaned, `exc_info=error` adds exception and traceback.

    Each method renders and writes at once, or is `_nowhere`: `start` exchanges them."""

    __slots__ = ("debug", "error", "exception", "info", "record", "warning")

    debug: Log
    info: Log
    warning: Log
    error: Log
    exception: Log
    """`error` with the exception being handled."""
    record: Callable[[str, Struct], None]
    """`info` of a record's fields: for what happens thousands of times a second. Its texts are ours (ids, codes), and
    are written as they are."""


_logger = Logger()


def get_logger() -> Logger:
    """The one logger; the same before and after `start`."""
    return _logger


def start(
    settings: LoggingSettings, stream: TextIO, *, buffer_bytes: int = BUFFER_BYTES, journal: Path = SOCKET
) -> LogWriter:
    """Write lines to `stream`, or entries to the `journal` (the socket of journald), from a thread of their own, until
    the `close` of what is returned.

    Records and warnings of libraries (standard `logging`, `warnings`) from the level warning up become lines
    `library.message` with their `logger`. A `close` that wrote everything puts all back as it was; after one that
    could not, lines are dropped: what stalled may be standard error itself."""
    way = _way(settings.format, stream, journal)
    writer = LogWriter(way.sink, way.dropped, buffer_bytes=buffer_bytes, on_flushed=_route_libraries())
    _take(way, settings, writer)
    return writer


def adjust(settings: LoggingSettings, stream: TextIO, writer: LogWriter, *, journal: Path = SOCKET) -> None:
    """Level and format from now on; `stream` and `writer` are those of `start`."""
    way = _way(settings.format, stream, journal)
    writer.use(way.sink, way.dropped)
    _take(way, settings, writer)


class _Way(Struct, frozen=True):
    """What a format comes down to."""

    sink: Sink
    render: Render
    record: RenderRecord
    missing: str = ""
    """Why it is not the one that was asked for."""

    def dropped(self, count: int) -> bytes:
        return self.render("warning", "log.dropped", {"lines": count})


def _way(wanted: LogFormat, stream: TextIO, journal: Path) -> _Way:
    if wanted == "console" or (wanted == "auto" and stream.isatty()):
        render = _console(colour=stream.isatty())
        return _Way(StreamSink(stream), render, _recorded(render))
    # The writer's thread makes journal entries of JSON lines: they cost everybody else what JSON lines cost.
    lines = partial(_Way, render=json_line, record=json_record)
    if wanted == "json" or (wanted == "auto" and not leads_to_journal(stream, os.environ.get("JOURNAL_STREAM", ""))):
        return lines(StreamSink(stream))
    if journal.is_socket():
        return lines(JournalSink(journal))
    advice = f'There is no socket {journal}, so here are JSON lines: start journald or set logging.format = "auto".'
    return lines(StreamSink(stream), missing=advice if wanted == "journal" else "")


def _take(way: _Way, settings: LoggingSettings, writer: LogWriter) -> None:
    _connect(settings.level, way.render, way.record, writer.write)
    if way.missing:
        _logger.warning("log.no_journal", reason=way.missing)


def _route_libraries() -> Callable[[], None]:
    """Returns what undoes it, and the connection to the writer with it."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    root.handlers = [_FromLibraries()]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(True)

    def undo() -> None:
        logging.captureWarnings(False)
        root.handlers = handlers
        root.setLevel(level)
        _disconnect()

    return undo


def _console(*, colour: bool) -> Render:
    return lambda level, event, fields: console_line(level, event, fields, colour=colour)


def _recorded(render: Render) -> RenderRecord:
    return lambda level, event, record: render(level, event, structs.asdict(record))


def _connect(lowest: str, render: Render, render_record: RenderRecord, write: Callable[[bytes], None]) -> None:
    for level, rank in _LEVELS.items():
        setattr(_logger, level, _at(level, render, write) if rank >= _LEVELS[lowest] else _nowhere)
    error = _logger.error

    def exception(event: str, /, **fields: object) -> None:
        error(event, **{"exc_info": True, **fields})

    def record(event: str, fields: Struct) -> None:
        write(render_record("info", event, fields))

    _logger.exception = exception
    _logger.record = record if _logger.info is not _nowhere else _nowhere


def _at(level: str, render: Render, write: Callable[[bytes], None]) -> Log:
    def log(event: str, /, **fields: object) -> None:
        try:
            line = render(level, event, fields)
        except Exception as error:
            # A value that cannot be shown (a broken __str__, a cycle) must not fail the work that mentions it.
            line = fallback_line(level, event, fields, error)
        write(line)

    return log


class _FromLibraries(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = str(record.msg)
        log = _logger.error if record.levelno >= logging.ERROR else _logger.warning
        if record.exc_info:
            log("library.message", logger=record.name, message=message, exc_info=record.exc_info)
        else:
            log("library.message", logger=record.name, message=message)


def _to_standard_error(line: bytes) -> None:
    sys.stderr.write(line.decode())


def _disconnect() -> None:
    console = _console(colour=False)
    _connect("warning", console, _recorded(console), _to_standard_error)


_disconnect()
