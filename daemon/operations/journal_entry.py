"""From a JSON line to the fields of a journal entry (systemd.journal-fields(7)). Pure and total: a line always becomes
an entry. Its texts were made safe when it was rendered, and stay so: no value here holds a line feed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import msgspec

from daemon.operations.rendering import clean, words
from daemon.printable import printable

if TYPE_CHECKING:
    from collections.abc import Collection

    Entry = list[tuple[str, str]]

IDENTIFIER = "tenant-webhooks"

_NAME_LENGTH = 64
# journald drops an entry of more than 1,024 fields; a list or a table longer than this is one field, as JSON.
_PARTS = 32
_PRIORITIES = {"debug": "7", "info": "6", "warning": "4", "error": "3"}  # those of syslog(3)
# What an entry has anyway, or what journalctl takes for something else.
_TAKEN = frozenset({"EVENT", "MESSAGE", "MESSAGE_ID", "PRIORITY", "TIMESTAMP"})

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def entry(line: bytes) -> Entry:
    """`MESSAGE` for people, `PRIORITY`, `EVENT`, `TIMESTAMP` (when it happened; journald adds when it was told), and
    each field under its name in capitals.

    What is null is left out. A short list of plain values is its field several times, so that each value is found; a
    short table is a field for each key (`TIMINGS_FIRST_BYTE`); whatever is larger or deeper is JSON."""
    try:
        fields = cast("dict[str, object]", _decode(line))
        level, event, timestamp = fields.pop("level"), _text(fields.pop("event")), _text(fields.pop("timestamp"))
        found = _head(f"{event} {words(fields)}".rstrip(), level)
        found += [("EVENT", event), ("TIMESTAMP", timestamp)]
        for key, value in fields.items():
            if isinstance(value, str):
                found.append((_name(key), printable(value)))
            elif value is not None:
                found += _pairs(_name(key), value)
    except Exception:
        # A line that cannot be taken apart goes as it is: an error here would be the last thing that is logged.
        return _head(clean(line.decode(errors="replace")), "info")
    return found


def _head(message: str, level: object) -> Entry:
    priority = _PRIORITIES.get(str(level), _PRIORITIES["info"])
    return [("MESSAGE", message), ("PRIORITY", priority), ("SYSLOG_IDENTIFIER", IDENTIFIER)]


def _pairs(name: str, value: object) -> Entry:
    if isinstance(value, list) and _plain(parts := cast("list[object]", value)):
        return [(name, _text(part)) for part in parts]
    if isinstance(value, dict) and _table(table := cast("dict[str, object]", value)):
        return [(_part(name, key), _text(part)) for key, part in table.items() if part is not None]
    return [(name, _text(cast("object", value)))]


def _plain(values: Collection[object]) -> bool:
    return 0 < len(values) <= _PARTS and list not in (types := set(map(type, values))) and dict not in types


def _table(table: dict[str, object]) -> bool:
    return _plain(table.values()) and all(map(_simple, table))


def _text(value: object) -> str:
    return printable(value if isinstance(value, str) else _encode(value).decode())


@lru_cache(1024)
def _simple(key: str) -> bool:
    return re.fullmatch(r"[A-Za-z]\w{0,31}", key, re.ASCII) is not None


@lru_cache(1024)
def _name(key: str) -> str:
    """A valid name of a field: A-Z, 0-9 and _, a letter first, at most 64 characters; none that says something else."""
    name = re.sub(r"[^A-Z0-9_]", "_", _snake(key).upper())
    if not re.match("[A-Z]", name) or name in _TAKEN or name.startswith(("SYSLOG_", "CODE_", "OBJECT_", "COREDUMP_")):
        name = f"FIELD_{name}"
    return name[:_NAME_LENGTH]


@lru_cache(1024)
def _part(name: str, key: str) -> str:
    return _name(f"{name}_{_snake(key)}")


@lru_cache(1024)
def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)
