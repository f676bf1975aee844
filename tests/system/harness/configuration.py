"""The daemon's configuration file as the tests write it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Value = str | int | float | bool | list[str]
Sections = dict[str, dict[str, Value]]

LOOPBACK = ["127.0.0.0/8", "::1/128"]


def configuration(database: Path, changes: Mapping[str, Mapping[str, Value]]) -> Sections:
    """Port 0, a database of its own, JSON lines, loopback receivers allowed; then `changes`, section by section."""
    sections: Sections = {
        "server": {"bind": ["127.0.0.1:0"]},
        "storage": {"path": str(database)},
        "egress": {"allow": LOOPBACK},
        "logging": {"format": "json"},
    }
    for section, keys in changes.items():
        sections.setdefault(section, {}).update(keys)
    return sections


def toml(sections: Sections) -> str:
    """TOML text: what JSON and TOML write alike is all that these values need."""
    return "".join(
        f"[{section}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        for section, keys in sections.items()
    )
