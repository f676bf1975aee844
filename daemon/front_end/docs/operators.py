"""Pages for operators: the metrics and the events of the log."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from daemon.front_end.docs.markup import inline, page
from daemon.operations.log_events import LOG_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

_BACK = '<p><a href="/docs">The API</a></p>'


def log_page() -> bytes:
    rows = "".join(_row(name, "", meaning) for name, meaning in LOG_EVENTS.items())
    said = (
        "Each line has <code>timestamp</code>, <code>level</code>, <code>event</code>, and fields of its own. "
        "The names of events do not change. No line holds a secret or a payload."
    )
    return page("Log", f"<h1>Events of the log</h1><p>{said}</p><dl>{rows}</dl>{_BACK}")


def metrics_page(metrics: Iterable[tuple[str, str, str]]) -> bytes:
    """`metrics`: name, type and meaning of each."""
    rows = "".join(_row(*metric) for metric in metrics)
    return page(
        "Metrics", f"<h1>Metrics</h1><p>What <code>/metrics</code> has for Prometheus.</p><dl>{rows}</dl>{_BACK}"
    )


def _row(name: str, kind: str, meaning: str) -> str:
    small = f" <small>{escape(kind)}</small>" if kind else ""
    return f'<dt id="{name}"><code>{escape(name)}</code>{small}</dt><dd>{inline(meaning)}</dd>'
