"""The page of the API, from its OpenAPI document and nothing else."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from daemon.front_end.docs.curl import curl, example_of
from daemon.front_end.docs.fields import entry, fields_of, type_of
from daemon.front_end.docs.markup import inline, page, prose
from daemon.front_end.problems import CONTENT_TYPE
from daemon.front_end.routing import PREFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

Content = dict[str, Any]


def api_page(content: Content) -> bytes:
    """`content` is the document as plain values."""
    groups: dict[str, list[tuple[str, str, Content]]] = {}
    for one in _operations(content):
        groups.setdefault(one[2]["tags"][0], []).append(one)
    said = {tag["name"]: tag["description"] for tag in content["tags"]}
    sections = "".join(
        f'<section><h2 id="{tag}">{escape(tag.capitalize())}</h2>{prose(said[tag])}'
        + "".join(_operation(content, *one) for one in operations)
        + "</section>"
        for tag, operations in groups.items()
    )
    schemas = content["components"]["schemas"]
    described = "".join(
        f'<h3 id="schema-{name}"><a href="#schema-{name}">{name}</a></h3>{prose(schema.get("description", ""))}'
        f"{fields_of(schema)}"
        for name, schema in schemas.items()
        if schema.get("properties")
    )
    info = content["info"]
    intro = (
        f"<h1>Tenant Webhooks API</h1><p class=soft>Version {escape(info['version'])} · "
        '<a href="/openapi.json">OpenAPI document</a> · <a href="/problems">Problems</a> · '
        '<a href="/docs/metrics">Metrics</a> · <a href="/docs/log">Log</a></p>'
        f"{prose(info['description'])}<p>The commands below want your own:</p><pre><code>"
        "export BASE=http://127.0.0.1:8080 TOKEN=tw_… OPERATOR_TOKEN=tw_…</code></pre>"
    )
    body = f'{intro}{sections}<h2 id="schemas">Schemas</h2>{described}'
    return page("API", body, _contents(groups))


def _operations(content: Content) -> Iterator[tuple[str, str, Content]]:
    """Path, method and operation of each; those of a compatibility prefix are the same, and left out."""
    for path, item in content["paths"].items():
        if not path.startswith(tuple(f"{prefix}/" for prefix in PREFIXES)):
            for method, operation in item.items():
                yield path, method, operation
    for name, item in content["webhooks"].items():
        yield name, "post", item["post"]


def _contents(groups: dict[str, list[tuple[str, str, Content]]]) -> str:
    items = "".join(
        f'<li><a href="#{tag}"><b>{escape(tag.capitalize())}</b></a><ul>'
        + "".join(f'<li><a href="#{one["operationId"]}">{escape(one["summary"])}</a></li>' for _, _, one in operations)
        + "</ul></li>"
        for tag, operations in groups.items()
    )
    items += '<li><a href="#schemas"><b>Schemas</b></a></li>'
    return f"<details><summary>Contents</summary><ul>{items}</ul></details>"


def _operation(content: Content, path: str, method: str, operation: Content) -> str:
    name = operation["operationId"]
    heading = (
        f'<h3 id="{name}"><a href="#{name}">{escape(operation["summary"])}</a></h3>'
        f'<p><span class="method {method}">{method.upper()}</span> <code>{escape(path)}</code></p>'
    )
    parts = [heading, prose(operation["description"]), _parameters(operation), _body(operation)]
    if name.startswith("receive."):
        return "".join(parts)
    command = escape(curl(method, path, operation))
    answers = [_answer(status, _whole(content, one)) for status, one in operation["responses"].items()]
    return "".join(
        [*parts, f"<h4>Example</h4><pre><code>{command}</code></pre>", *answers, _problems(content, operation)]
    )


def _parameters(operation: Content) -> str:
    items = "".join(
        entry(one["name"], one["schema"], required=one["required"], description=_placed(one))
        for one in operation["parameters"]
    )
    return f"<h4>Parameters</h4><dl>{items}</dl>" if items else ""


def _placed(parameter: Content) -> str:
    where = {"path": "In the path.", "query": "In the query.", "header": "A header."}[parameter["in"]]
    return f"{parameter['description']} {where}"


def _body(operation: Content) -> str:
    if "requestBody" not in operation:
        return ""
    body = operation["requestBody"]
    media = body["content"]["application/json"]
    return f"<h4>Body: {type_of(media['schema'])}</h4>{prose(body.get('description', ''))}{_json(example_of(media))}"


def _answer(status: str, response: Content) -> str:
    """A good one: problems are listed together."""
    if CONTENT_TYPE in response.get("content", {}):
        return ""
    shown = ""
    kind = ""
    for name, media in response.get("content", {}).items():
        kind = type_of(media["schema"]) if "$ref" in str(media["schema"]) else escape(name)
        example = example_of(media)
        shown = "" if example is None else _json(example)
    headers = "".join(
        entry(name, one["schema"], required=False, description=one["description"])
        for name, one in response.get("headers", {}).items()
    )
    what = f": {kind}" if kind else ""
    return f"<h4>{status} {escape(response['description'])}{what}</h4>{shown}{f'<dl>{headers}</dl>' if headers else ''}"


def _problems(content: Content, operation: Content) -> str:
    """Links to the pages of those that it may answer with, by status."""
    rows: list[str] = []
    for status, one in operation["responses"].items():
        media: Content = _whole(content, one).get("content", {}).get(CONTENT_TYPE, {})
        examples: Content = media.get("examples", {})
        for slug, example in examples.items():
            rows.append(f'<li>{status} <a href="/problems/{slug}">{inline(example["summary"])}</a></li>')
    return f"<details><summary>Problems ({len(rows)})</summary><ul>{''.join(rows)}</ul></details>"


def _whole(content: Content, response: Content) -> Content:
    reference = response.get("$ref")
    return response if reference is None else content["components"]["responses"][reference.rpartition("/")[2]]


def _json(value: object) -> str:
    return f"<pre><code>{escape(json.dumps(value, indent=2, ensure_ascii=False))}</code></pre>"
