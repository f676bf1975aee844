"""How an id and a body that no signature fits differ from those that this daemon sends. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

import msgspec
from msgspec import Raw

from daemon.cli.alterations import compact, ids
from daemon.events import PING, SESSION_COMPLETED

_EVENT_ID = re.compile(r"evt_[0-9a-f]{32}")
_BUILT_IN = (f'"{SESSION_COMPLETED}"', f'"{PING}"')
_members = msgspec.json.Decoder(dict[str, Raw])
_CHANGED = "It was parsed and written again, probably: verify the bytes as they came."
_NOT_ALL = "Without it no signature fits either: that is not all that was changed."
_SPACE = "which this daemon does not send"


class Oddity(NamedTuple):
    """`enough`: it may be all that is wrong. What was undone, and then fits no signature either, is not."""

    detail: str
    enough: bool


def event_id(text: str) -> str | None:
    """An event's id that `text` may have been, where there is one."""
    return next((id.text for id in ids(text) if _EVENT_ID.fullmatch(id.text)), None)


def odd_id(text: str) -> Oddity | None:
    """None for one of the form that this daemon's events have."""
    for id in ids(text):
        if _EVENT_ID.fullmatch(id.text):
            if id.change is None:
                return None
            return Oddity(f"Changed: {id.change}. That is not all, {id.text} fits no signature.", False)
    form = "which is evt_ and 32 hexadecimal digits here"
    return Oddity(f"Not an event's id, {form}: take the header webhook-id as it came.", True)


def odd_body(content: bytes) -> Oddity | None:
    """None for one that looks as this daemon's do."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return Oddity("It is not UTF-8, as all that this daemon sends is.", True)
    try:
        members = {name: bytes(raw).decode() for name, raw in _members.decode(content).items()}
    except (msgspec.DecodeError, RecursionError):
        return Oddity("It is no JSON object, as all that this daemon sends is. Was it copied whole?", True)
    if next(iter(members), None) != "Event":
        return Oddity(f"It does not begin with the event's name, as this daemon's do. {_CHANGED}", True)
    if len(members) != 3 or [*members][1] != "Timestamp":
        return Oddity(f"It is not Event, Timestamp and one member more, as this daemon's are. {_CHANGED}", True)
    return _white_space(text, members)


def _white_space(text: str, members: dict[str, str]) -> Oddity | None:
    """What a subject of one's own has inside it is the publisher's."""
    envelope = "{" + ",".join(f'"{name}":{value}' for name, value in members.items()) + "}"
    if text == envelope:
        if members["Event"] in _BUILT_IN and compact(text) != text:
            return Oddity(f"It has white space, {_SPACE} in this event. {_CHANGED} {_NOT_ALL}", False)
        return None
    if text.strip() == envelope:
        return Oddity(f"A line break or other white space is around it, {_SPACE}. {_NOT_ALL}", False)
    if members["Event"] in _BUILT_IN:
        return Oddity(f"It has white space, {_SPACE}. {_CHANGED} {_NOT_ALL}", False)
    return Oddity(f"It has white space, {_SPACE} outside of what was published. {_CHANGED}", True)
