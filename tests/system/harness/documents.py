"""What the documents tell people to type, as the tests run it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def section(document: str, heading: str) -> str:
    """The text under a heading, up to the next one of its rank."""
    text = (ROOT / document).read_text()
    _, found, rest = text.partition(f"\n## {heading}")
    assert found, f"{document} has no section {heading!r}"
    return rest.partition("\n## ")[0]


def commands(document: str, heading: str) -> list[str]:
    """The indented blocks of a section, each without its indentation."""
    lines = section(document, heading).splitlines()[1:]
    blocks: list[list[str]] = [[]]
    for line in lines:
        deeper = re.match(r"(?: {3})? {4}\S", line) or (blocks[-1] and re.match(r" {4,}", line))
        if deeper:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    found = [block for block in blocks if block]
    indents = [len(block[0]) - len(block[0].lstrip()) for block in found]
    return ["\n".join(line[indent:] for line in block) for block, indent in zip(found, indents, strict=True)]
