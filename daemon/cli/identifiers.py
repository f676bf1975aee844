"""Ids as arguments, and the paths they make."""

from __future__ import annotations

from urllib.parse import quote

import click


class _Id(click.ParamType[str]):
    """One step of a path. An empty one, or one of dots, would name another resource."""

    name = "id"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if value in ("", ".", "..") or not value.isprintable():
            self.fail(f"{value!r} cannot be an id.", param, ctx)
        return value


ID = _Id()


def path(*segments: str) -> str:
    """A path of the API; each segment is one step of it, whatever characters it holds."""
    return "/v1/" + "/".join(quote(segment, safe="") for segment in segments)
