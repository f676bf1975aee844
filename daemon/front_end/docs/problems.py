"""Pages about problems: what each means and what to change, with a document as an example."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING

from daemon.front_end.catalogue import KINDS
from daemon.front_end.docs.markup import page
from daemon.front_end.openapi.problems import example_of
from daemon.front_end.problems import CONTENT_TYPE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from daemon.front_end.catalogue import Kind


def index_page() -> bytes:
    rows = "".join(
        f'<tr><td>{kind.status}</td><td><a href="{kind.type}"><code>{kind.slug}</code></a></td>'
        f"<td>{escape(kind.title)}</td></tr>"
        for kind in sorted(KINDS.values(), key=lambda kind: kind.status)
    )
    head = "<tr><th>Status</th><th>Type</th><th>Title</th></tr>"
    said = (
        f"Every error of this API is one of these, as <code>{CONTENT_TYPE}</code> (RFC 9457). "
        "Its <code>detail</code> says what to change in your request, its <code>type</code> leads here."
    )
    return page(
        "Problems", f'<h1>Problems</h1><p>{said}</p><table>{head}{rows}</table><p><a href="/docs">The API</a></p>'
    )


def problem_page(kind: Kind, operations: Iterable[tuple[str, str]]) -> bytes:
    """`operations`: id and summary of those that may answer so."""
    retry = (
        ""
        if kind.retry_after is None
        else ("<p>Nothing was stored. The answer has the header <code>Retry-After</code>, in seconds.</p>")
    )
    example = escape(json.dumps(example_of(kind), indent=2, ensure_ascii=False))
    where = "".join(f'<li><a href="/docs#{name}">{escape(summary)}</a></li>' for name, summary in operations)
    return page(
        kind.title,
        f"<h1>{escape(kind.title)}</h1><p class=soft>HTTP {kind.status} · <code>{kind.type}</code></p>"
        f"<h2>What it means</h2><p>{escape(kind.meaning)}</p>"
        f"<h2>What to change</h2><p>{escape(kind.remedy)}</p>{retry}"
        f"<h2>Example</h2><pre><code>HTTP/1.1 {kind.status}\ncontent-type: {CONTENT_TYPE}\n\n{example}</code></pre>"
        + (f"<h2>Who answers so</h2><ul>{where}</ul>" if where else "")
        + '<p><a href="/problems">All problems</a> · <a href="/docs">The API</a></p>',
    )
