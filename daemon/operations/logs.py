"""The daemon's log: `log = get_logger()` at import, `log.info("webhook.created", tenant=…)` anywhere: one line.

structlog in front, `rendering` in the middle, `LogWriter` behind. Until `start`, warnings and errors go to standard
error as they come and the rest nowhere, so that a module works without a daemon around it.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Protocol, TextIO, cast

import structlog

from daemon.operations.log_writer import BUFFER_BYTES, LogWriter
from daemon.operations.rendering import console_line, fallback_line, json_line

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from daemon.settings import LoggingSettings

    Render = Callable[[str, str, dict[str, object]], bytes]

__all__ = ["LogWriter", "Logger", "get_logger", "start"]

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Log(Protocol):
    def __call__(self, event: str, /, **fields: object) -> None: ...


def _nowhere(event: str, /, **fields: object) -> None:
    """A level that is filtered out: nothing is bound, rendered or looked up."""


class Logger:
    """`event` is a stable name, `fields` its values: text is cleaned, `exc_info=error` adds exception and traceback.

    The methods are those of structlog's bound logger itself, or `_nowhere`: `start` exchanges them."""

    __slots__ = ("debug", "error", "exception", "info", "warning")

    debug: Log
    info: Log
    warning: Log
    error: Log
    exception: Log
    """`error` with the exception being handled."""


_logger = Logger()


def get_logger() -> Logger:
    """The one logger; the same before and after `start`."""
    return _logger


def start(settings: LoggingSettings, stream: TextIO, *, buffer_bytes: int = BUFFER_BYTES) -> LogWriter:
    """Write lines to `stream` from a thread of their own, until the `close` of what is returned.

    Records and warnings of libraries (standard `logging`, `warnings`) from the level warning up become lines
    `library.message` with their `logger`. A `close` that wrote everything puts all back as it was; after one that
    could not, lines are dropped: what stalled may be standard error itself."""
    console = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    render = _console(colour=stream.isatty()) if console else json_line

    def dropped(count: int) -> bytes:
        return render("warning", "log.dropped", {"lines": count})

    writer = LogWriter(stream, dropped, buffer_bytes=buffer_bytes, on_flushed=_route_libraries())
    _connect(settings.level, render, _Sink(writer.write))
    return writer


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
        _connect("debug", _console(colour=False), _STANDARD_ERROR)

    return undo


def _console(*, colour: bool) -> Render:
    return lambda level, event, fields: console_line(level, event, fields, colour=colour)


def _connect(level: str, render: Render, sink: _Sink) -> None:
    structlog.configure(
        processors=[_renderer(render)],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    bound = structlog.get_logger().bind()
    for name in ("debug", "info", "warning", "error"):
        setattr(_logger, name, getattr(bound, name) if _LEVELS[name] >= _LEVELS[level] else _nowhere)
    _logger.exception = bound.exception


def _renderer(render: Render) -> Callable[[Any, str, MutableMapping[str, Any]], bytes]:
    def process(_: Any, level: str, fields: MutableMapping[str, Any]) -> bytes:
        event = fields.pop("event")
        try:
            return render(level, event, cast("dict[str, object]", fields))
        except Exception as error:
            # A value that cannot be shown (a broken __str__, a cycle) must not fail the work that mentions it.
            return fallback_line(level, event, fields, error)

    return process


class _Sink:
    """What structlog calls last, by the name of the level."""

    __slots__ = ("debug", "error", "info", "warning")

    def __init__(self, write: Callable[[bytes], None], *, from_warning: bool = False) -> None:
        self.warning = self.error = write
        self.debug = self.info = _discard if from_warning else write


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


def _discard(line: bytes) -> None:
    del line


def _to_standard_error(line: bytes) -> None:
    sys.stderr.write(line.decode())


_STANDARD_ERROR = _Sink(_to_standard_error, from_warning=True)
_connect("debug", _console(colour=False), _STANDARD_ERROR)
