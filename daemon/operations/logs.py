"""The daemon's log: `log = get_logger()` at import, `log.info("webhook.created", tenant=…)` anywhere: one line.

`Logger` in front, `rendering` in the middle, `LogWriter` behind. Until `start`, warnings and errors go to standard
error as they come and the rest nowhere, so that a module works without a daemon around it.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Protocol, TextIO

from msgspec import structs

from daemon.operations.log_writer import BUFFER_BYTES, LogWriter
from daemon.operations.rendering import console_line, fallback_line, json_line, json_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from msgspec import Struct

    from daemon.settings import LoggingSettings

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


def start(settings: LoggingSettings, stream: TextIO, *, buffer_bytes: int = BUFFER_BYTES) -> LogWriter:
    """Write lines to `stream` from a thread of their own, until the `close` of what is returned.

    Records and warnings of libraries (standard `logging`, `warnings`) from the level warning up become lines
    `library.message` with their `logger`. A `close` that wrote everything puts all back as it was; after one that
    could not, lines are dropped: what stalled may be standard error itself."""
    render, _ = _renderers(settings, stream)

    def dropped(count: int) -> bytes:
        return render("warning", "log.dropped", {"lines": count})

    writer = LogWriter(stream, dropped, buffer_bytes=buffer_bytes, on_flushed=_route_libraries())
    adjust(settings, stream, writer)
    return writer


def adjust(settings: LoggingSettings, stream: TextIO, writer: LogWriter) -> None:
    """Level and format from now on; `stream` and `writer` are those of `start`."""
    _connect(settings.level, *_renderers(settings, stream), writer.write)


def _renderers(settings: LoggingSettings, stream: TextIO) -> tuple[Render, RenderRecord]:
    if settings.format == "console" or (settings.format == "auto" and stream.isatty()):
        render = _console(colour=stream.isatty())
        return render, _recorded(render)
    return json_line, json_record


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
