"""From a TOML file and the environment to `Settings`, or to sentences that say what to change."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args

import msgspec
from msgspec import Meta, Struct, inspect, structs

from daemon.settings.addresses import Bind, Network, TcpBind, parse_bind, parse_network
from daemon.settings.event_types import event_types
from daemon.settings.records import Settings, TenantEgress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from daemon.settings.records import EventTypeSettings


class SettingsError(Exception):
    """The configuration cannot be used. Each of `problems` is a sentence: key, value, source, what to change."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load(path: str | None, environ: Mapping[str, str]) -> Settings:
    """Defaults, then the TOML file at `path`, then `TENANT_WEBHOOKS_<SECTION>__<KEY>` in `environ`.

    Raises `SettingsError` with every problem found; nothing is guessed and nothing ignored."""
    problems: list[str] = []
    given = _from_file(path, problems) | _from_environment(environ, problems)
    sections: dict[str, object] = {_NAMED: _named(given.pop(_NAMED, None), path, problems)}
    for section, record in _SECTIONS.items():
        values: dict[str, object] = {}
        for field in structs.fields(record):
            dotted = f"{section}.{field.name}"
            if item := given.get(dotted):
                try:
                    values[field.name] = _decode(field.type, item)
                except ValueError as error:
                    problems.append(f"{dotted} = {_shown(item.value)} ({item.source}): {error}")
        sections[section] = record(**values)
    settings = Settings(**cast("dict[str, Any]", sections))
    problems += [] if problems else _contradictions(settings, given)
    if problems:
        raise SettingsError(problems)
    return settings


class _Given(NamedTuple):
    value: object
    source: str
    text: bool
    """True for a variable, whose value has yet to be read as a number or a list."""


_NAMED = "events"  # the section whose keys are names that the operator gives
_SECTIONS: dict[str, type[Struct]] = {
    field.name: field.type for field in structs.fields(Settings) if field.name != _NAMED
}
_KNOWN = {f"{section}.{field.name}" for section, record in _SECTIONS.items() for field in structs.fields(record)}
_PREFIX = "TENANT_WEBHOOKS_"
_VARIABLES = {_PREFIX + dotted.upper().replace(".", "__"): dotted for dotted in (*_KNOWN, _NAMED)}
_OF_THE_CLIENT = {_PREFIX + name for name in ("URL", "TOKEN", "CONFIG", "SECRET")}
# Kubernetes describes a service named tenant-webhooks to every container in these variables.
_OF_KUBERNETES = re.compile(
    _PREFIX + r"(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_[0-9]+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)"
)
_TENANT_ID = re.compile("[a-z0-9][a-z0-9_-]{0,62}")
_MOST_LABELS = 100
_AT_MOST = (
    ("delivery.connect_timeout", "delivery.timeout"),
    ("delivery.max_concurrent_per_webhook", "delivery.max_concurrent_per_tenant"),
    ("delivery.max_concurrent_per_tenant", "delivery.max_concurrent"),
    ("limits.event_bytes", "server.max_body_bytes"),
    # Otherwise one event, or one request, could be refused for ever however little waits.
    ("limits.webhooks_per_tenant", "limits.deliveries_per_request"),
    ("limits.deliveries_per_request", "limits.waiting_per_tenant"),
)


def _from_file(path: str | None, problems: list[str]) -> dict[str, _Given]:
    if path is None:
        return {}
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError([f"{path}: cannot be read: {error.strerror}"]) from None
    except ValueError as error:
        raise SettingsError([f"{path}: is not TOML: {error}"]) from None
    except RecursionError:
        raise SettingsError([f"{path}: is nested too deep: no setting is"]) from None
    given: dict[str, _Given] = {}
    for section, table in tables.items():
        if section == _NAMED:
            given[_NAMED] = _Given(table, path, text=False)
        elif not isinstance(table, dict):
            problems.append(f"{section} ({path}): stands outside any section{_suggestion(section, _KNOWN)}")
        elif section not in _SECTIONS:
            problems.append(
                f"[{section}] ({path}): there is no such section{_suggestion(section, [*_SECTIONS, _NAMED])}"
            )
        else:
            for key, value in cast("dict[str, object]", table).items():
                dotted = f"{section}.{key}"
                if dotted in _KNOWN:
                    given[dotted] = _Given(value, path, text=False)
                else:
                    problems.append(f"{dotted} ({path}): there is no such key{_suggestion(dotted, _KNOWN)}")
    return given


def _named(given: _Given | None, path: str | None, problems: list[str]) -> dict[str, EventTypeSettings]:
    """The event types; schema files are looked for beside the configuration file."""
    if given is None:
        return {}
    value = given.value
    if given.text:
        try:
            value = json.loads(cast("str", value))
        except (ValueError, RecursionError):
            problems.append(f'{_NAMED} ({given.source}): write {{"payment.completed": {{"subject": "Payment"}}}}')
            return {}
    return event_types(value, Path(path or ".").parent, given.source, problems)


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    for name, value in environ.items():
        if dotted := _VARIABLES.get(name):
            given[dotted] = _Given(value, f"variable {name}", text=True)
        elif name.startswith(_PREFIX) and name not in _OF_THE_CLIENT and not _OF_KUBERNETES.fullmatch(name):
            # Its value is not repeated: it may be a token under a mistyped name.
            problems.append(
                f"variable {name}: there is no such setting{_suggestion(name, [*_VARIABLES, *_OF_THE_CLIENT])}"
            )
    return given


def _suggestion(name: str, known: Iterable[str]) -> str:
    bare = {other.removeprefix(_PREFIX): other for other in known}
    key = _last(name)
    near = difflib.get_close_matches(name.removeprefix(_PREFIX), bare, n=1)
    near = near or [other for other in sorted(bare) if _last(other) == key]
    if not near:
        return "; remove it (config/tenant-webhooks.toml explains all that there are)"
    return f"; did you mean {bare[near[0]]}?"


def _last(name: str) -> str:
    return re.split(r"\.|__", name)[-1]


def _decode(kind: Any, given: _Given) -> object:
    """Raises ValueError whose text says what to write."""
    bare, *bounds = get_args(kind) if hasattr(kind, "__metadata__") else [kind]
    if bare == tuple[Bind, ...]:
        return _decode_list(given, bounds, parse_bind)
    if bare == tuple[Network, ...]:
        return _decode_list(given, bounds, parse_network)
    if bare == dict[str, TenantEgress]:
        return _decode_tenants(given)
    if bare == tuple[str, ...]:
        return _decode_labels(given)
    lax = given.text and bare in (int, float, bool)
    try:
        return msgspec.convert(given.value, kind, strict=not lax)
    except msgspec.ValidationError:
        raise ValueError(f"write {_expected(kind)}") from None


def _decode_list(given: _Given, bounds: list[Meta], parse: Callable[[str], object]) -> tuple[object, ...]:
    value = _listed(given.value) if given.text else given.value
    try:
        texts = msgspec.convert(value, list[str])
    except msgspec.ValidationError:
        raise ValueError('write a list of texts, such as ["…", "…"]') from None
    if bounds and not texts:
        raise ValueError("name at least one")
    parsed: list[object] = []
    for text in texts:
        try:
            parsed.append(parse(text))
        except ValueError as error:
            raise ValueError(f"{_shown(text)}: {error}") from None
    return tuple(parsed)


def _listed(text: object) -> object:
    """A JSON list, or texts between commas; `[::1]:80` is one of those."""
    assert isinstance(text, str)
    try:
        given: object = json.loads(text)
    except ValueError:
        given = None
    if isinstance(given, list):
        return cast("list[object]", given)
    return [part.strip() for part in text.split(",") if part.strip()]


def _decode_tenants(given: _Given) -> dict[str, TenantEgress]:
    try:
        value = json.loads(cast("str", given.value)) if given.text else given.value
        tables = msgspec.convert(value, dict[str, dict[str, object]])
    except ValueError:
        wanted = '{"acme": {"allow": ["10.20.0.0/16"]}}' if given.text else "a table [egress.tenants.acme] for each"
        raise ValueError(f"write {wanted}") from None
    tenants: dict[str, TenantEgress] = {}
    for tenant, table in tables.items():
        _tenant_id(tenant)
        if unknown := sorted(table.keys() - {"allow"}):
            raise ValueError(f"{tenant}.{unknown[0]}: there is no such key; the only one is allow")
        try:
            allow = _decode_list(_Given(table.get("allow", []), given.source, text=False), [], parse_network)
        except ValueError as error:
            raise ValueError(f"{tenant}.allow: {error}") from None
        tenants[tenant] = TenantEgress(allow=cast("tuple[Network, ...]", allow))
    return tenants


def _decode_labels(given: _Given) -> tuple[object, ...]:
    tenants = tuple(dict.fromkeys(_decode_list(given, [], _tenant_id)))
    if len(tenants) > _MOST_LABELS:
        raise ValueError(f"name at most {_MOST_LABELS} tenants: each has some fifty series of its own")
    return tenants


def _tenant_id(text: str) -> str:
    if not _TENANT_ID.fullmatch(text):
        raise ValueError(f"{_shown(text)} cannot be the id of a tenant")
    return text


def _expected(kind: Any) -> str:
    match inspect.type_info(kind):
        case inspect.IntType(ge=low, le=high):
            return f"a whole number from {low} to {high}"
        case inspect.Metadata(type=inspect.FloatType(ge=low, le=high)) as described:
            extra = cast("dict[str, str]", described.extra)  # pyright: ignore[reportUnknownMemberType] -- a bare dict
            return f"a number of {extra['unit']} from {low:g} to {high:g}"
        case inspect.FloatType(ge=low, le=high):
            return f"a number of seconds from {low:g} to {high:g}"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType():
            return "one of " + ", ".join(f'"{value}"' for value in get_args(kind))
        case _:
            return "text that is not empty"


def _shown(value: object) -> str:
    """On one line, without control characters, at most 200 characters."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 200 else text[:199] + "…"


def _contradictions(settings: Settings, given: Mapping[str, _Given]) -> Iterator[str]:
    def named(dotted: str) -> str:
        source = given[dotted].source if dotted in given else "default"
        return f"{dotted} = {_shown(_value(settings, dotted))} ({source})"

    for small, large in _AT_MOST:
        if _value(settings, small) > _value(settings, large):
            yield f"{named(small)} is larger than {named(large)}: lower the first or raise the second"
    path = settings.storage.path
    if path == ":memory:" or path.startswith("file:") or "\0" in path:
        yield f"storage.path = {_shown(path)} ({given['storage.path'].source}): name a file; what is accepted must last"
    seen: dict[Bind, str] = {}
    for key in ("server.bind", "server.observe_bind", "server.admin_bind"):
        for bind in getattr(settings.server, key.removeprefix("server.")):
            if bind in seen and not (isinstance(bind, TcpBind) and bind.port == 0):
                yield f"{key}: {bind} stands in {seen[bind]} already; give each its own address"
            seen[bind] = key


def _value(settings: Settings, dotted: str) -> int | float:
    section, key = dotted.split(".")
    return getattr(getattr(settings, section), key)
