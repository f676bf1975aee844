"""Text from outside, made safe to show: a webhook's name or a receiver's answer must not steer a terminal, nor deceive
the reader of a log."""

from __future__ import annotations


def printable(text: str, *, lines: bool = False) -> str:
    """`text` with every character that does not print (controls, bidirectional marks, lone surrogates) as its
    backslash escape. `lines` keeps line feeds and tabs."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or (lines and c in "\n\t") else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
