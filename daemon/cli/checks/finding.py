"""What a check comes to."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Finding(Struct, frozen=True):
    """`detail` is one line. What is not ok has `advice`: what to do."""

    check: str
    status: Literal["ok", "warning", "failed"]
    detail: str
    advice: str | None = None


def ok(check: str, detail: str) -> Finding:
    return Finding(check, "ok", detail)


def warning(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, "warning", detail, advice)


def failed(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, "failed", detail, advice)
