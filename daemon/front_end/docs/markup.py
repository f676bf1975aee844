"""HTML for pages that stand alone: one style, one frame, and the little markup that descriptions use."""

from __future__ import annotations

import base64
import re
from hashlib import sha256
from html import escape

_STYLE = """\
:root{color-scheme:light dark;--ink:#1c2024;--soft:#5a646e;--paper:#fff;--panel:#f4f6f8;--line:#d9dee3;--link:#0b57d0;\
--get:#0b6e4f;--post:#0b57d0;--patch:#8a5a00;--delete:#b3261e}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#a0abb6;--paper:#121518;--panel:#1c2126;--line:#343c44;\
--link:#8ab4f8;--get:#6cd6ab;--post:#8ab4f8;--patch:#f0c060;--delete:#f28b82}}
*{box-sizing:border-box}html{scroll-padding-top:1rem}
body{margin:0;font:1rem/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);overflow-wrap:anywhere}
main{max-width:48rem;margin:0 auto;padding:1.5rem 1rem 4rem;min-width:0}
a{color:var(--link)}h1{line-height:1.2;margin-top:0}h2{margin-top:3rem;border-bottom:1px solid var(--line)}
h3{margin:2.5rem 0 .25rem;font-size:1.1rem}h4{margin:1.25rem 0 .25rem;font-size:.95rem;color:var(--soft)}
h3 a,dt a.self{color:inherit;text-decoration:none}h3 a:hover{text-decoration:underline}
code,pre{font:.875em/1.5 ui-monospace,monospace}code{background:var(--panel);border-radius:.25rem;padding:.1em .3em}
pre{background:var(--panel);border:1px solid var(--line);border-radius:.5rem;padding:.75rem;overflow-x:auto;\
overflow-wrap:normal;margin:.5rem 0}pre code{background:none;padding:0}
dl{margin:.5rem 0}dt{margin-top:.6rem}dd{margin:0 0 0 1rem}dd p,td p{margin:0}
small,.soft{color:var(--soft)}.method{font-weight:700}.get{color:var(--get)}.post{color:var(--post)}\
.patch,.put{color:var(--patch)}.delete{color:var(--delete)}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.35rem .5rem .35rem 0;\
border-bottom:1px solid var(--line)}
nav ul{list-style:none;margin:.25rem 0 1rem;padding:0}nav li{margin:.15rem 0}nav{font-size:.9rem}
nav a{text-decoration:none}nav summary{cursor:pointer;font-weight:600;padding:.5rem 0}.toc{padding:1rem 1rem 0}
@media(min-width:64rem){.with-toc{display:grid;grid-template-columns:20rem minmax(0,1fr)}
.with-toc .toc{position:sticky;top:0;height:100vh;overflow-y:auto;border-right:1px solid var(--line)}\
.with-toc main{margin:0 auto;width:100%}.toc details::details-content{content-visibility:visible;block-size:auto}}
"""

_DIGEST = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Content-Security-Policy of every page: it may load nothing and run nothing, and has this one style."""

_MARKS = re.compile(r"`([^`]+)`|\[([^\]]+)\]\((/[^)\s]*|#[^)\s]*)\)")


def page(title: str, content: str, contents: str = "") -> bytes:
    """A whole page; `contents` is its table of contents, beside it where there is room."""
    aside = f'<nav class="toc" aria-label="Contents">{contents}</nav>' if contents else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} · Tenant Webhooks</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body{' class=with-toc' if contents else ''}>{aside}<main>{content}</main></body></html>"
    ).encode()


def prose(text: str) -> str:
    """Paragraphs of a description: `code` and [links](/path) are such, all else is text."""
    return "".join(f"<p>{inline(paragraph)}</p>" for paragraph in text.split("\n\n") if paragraph)


def inline(text: str) -> str:
    parts: list[str] = []
    end = 0
    for mark in _MARKS.finditer(text):
        parts.append(escape(text[end : mark.start()]))
        code, words, href = mark.groups()
        parts.append(f"<code>{escape(code)}</code>" if code else f'<a href="{escape(href)}">{escape(words)}</a>')
        end = mark.end()
    return "".join(parts) + escape(text[end:])
