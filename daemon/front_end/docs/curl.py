"""An operation as a command that can be pasted into a shell."""

from __future__ import annotations

import json
import shlex
from typing import Any

Operation = dict[str, Any]


def curl(method: str, path: str, operation: Operation) -> str:
    """`$BASE` and the tokens are the reader's; ids are those of the examples."""
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", str(parameter["example"]))
    lines = [f'curl "$BASE{path}"']
    if method != "get":
        lines[0] = f'curl -X {method.upper()} "$BASE{path}"'
    if security := operation["security"]:
        lines.append(f'-H "Authorization: Bearer ${"TOKEN" if "tenantToken" in security[0] else "OPERATOR_TOKEN"}"')
    if body := operation.get("requestBody"):
        lines.append('-H "Content-Type: application/json"')
        lines.append(
            f"-d {shlex.quote(json.dumps(example_of(body['content']['application/json']), ensure_ascii=False))}"
        )
    return " \\\n  ".join(lines)


def example_of(media: dict[str, Any]) -> Any:
    """The first example of a body, None if it has none."""
    if "example" in media:
        return media["example"]
    return next((one["value"] for one in media.get("examples", {}).values()), None)
