"""What each problem type means, as a page at the URI that its documents name."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from daemon.front_end.catalogue import KINDS
from daemon.front_end.decoding import NO_BODY
from daemon.front_end.query import NoQuery
from daemon.front_end.routing import Call, Finder, Reply, Route, found, nothing

if TYPE_CHECKING:
    from daemon.front_end.catalogue import Kind

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Cache-Control": "public, max-age=3600",
}
_STYLE = (
    "body{font:1rem/1.6 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;color-scheme:light dark}"
    "code{font-size:.95em}h1{line-height:1.2}h2{font-size:1.1rem}"
)


async def find_kind(finder: Finder) -> Kind:
    """Raises Problem `not-found`."""
    return found(KINDS.get(finder.path["slug"]))


async def index(call: Call[None, None, NoQuery]) -> Reply:
    items = "".join(
        f'<li><a href="{kind.type}"><code>{kind.slug}</code></a> {kind.status} · {escape(kind.title)}</li>'
        for kind in KINDS.values()
    )
    return _page("Problems", f"<p>Every error of this API is one of these.</p><ul>{items}</ul>")


async def page(call: Call[Kind, None, NoQuery]) -> Reply:
    kind = call.object
    retry = "" if kind.retry_after is None else "<p>The answer has the header <code>Retry-After</code>, in seconds.</p>"
    return _page(
        kind.title,
        f"<p><code>{kind.slug}</code> · HTTP {kind.status}</p><h2>What it means</h2><p>{escape(kind.meaning)}</p>"
        f'<h2>What to change</h2><p>{escape(kind.remedy)}</p>{retry}<p><a href="/problems">All problems</a></p>',
    )


def _page(title: str, content: str) -> Reply:
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} · Tenant Webhooks</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>{content}</body></html>"
    )
    return Reply(200, html.encode(), _HEADERS, "text/html; charset=utf-8")


ROUTES = (
    Route(
        name="listProblems",
        method="GET",
        path="/problems",
        access="open",
        find=nothing,
        body=NO_BODY,
        query=NoQuery,
        handler=index,
        room="pages",
    ),
    Route(
        name="getProblem",
        method="GET",
        path="/problems/{slug}",
        access="open",
        find=find_kind,
        body=NO_BODY,
        query=NoQuery,
        handler=page,
        room="pages",
    ),
)
