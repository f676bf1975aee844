"""The settings as frozen records: defaults, bounds and units. `config/tenant-webhooks.toml` explains each of them.

Durations are seconds unless a name says otherwise, sizes bytes. A record made directly is not checked; one that `load`
made is.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal, cast

from msgspec import Meta, Struct, structs

from daemon.settings.addresses import Bind, Network, TcpBind, UnixBind

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console", "journal"]

Seconds = Annotated[float, Meta(ge=0.01, le=3600)]
SecondsOrNone = Annotated[float, Meta(ge=0, le=3600)]
Days = Annotated[float, Meta(ge=0, le=36_500, extra={"unit": "days"})]
Slots = Annotated[int, Meta(ge=1, le=100_000)]


class ServerSettings(Struct, frozen=True, kw_only=True):
    bind: Annotated[tuple[Bind, ...], Meta(min_length=1)] = (TcpBind("127.0.0.1", 8080),)
    observe_bind: tuple[Bind, ...] = ()
    admin_bind: tuple[Bind, ...] = ()
    max_body_bytes: Annotated[int, Meta(ge=1024, le=1 << 30)] = 4_194_304
    max_connections: Annotated[int, Meta(ge=1, le=100_000)] = 1000
    request_timeout: Seconds = 10.0


class AuthSettings(Struct, frozen=True, kw_only=True):
    operator_token_file: str = ""


class StorageSettings(Struct, frozen=True, kw_only=True):
    path: Annotated[str, Meta(min_length=1)] = "tenant-webhooks.db"
    min_free_bytes: Annotated[int, Meta(ge=0, le=1 << 40)] = 67_108_864
    retention_days: Days = 30.0
    max_bytes: Annotated[int, Meta(ge=0, le=1 << 50)] = 0


class DeliverySettings(Struct, frozen=True, kw_only=True):
    timeout: Seconds = 15.0
    connect_timeout: Seconds = 5.0
    keep_alive: SecondsOrNone = 1.0
    max_concurrent: Slots = 2048
    max_concurrent_per_tenant: Slots = 64
    max_concurrent_per_webhook: Slots = 16
    response_body_bytes: Annotated[int, Meta(ge=0, le=65_536)] = 4096
    drain_timeout: SecondsOrNone = 20.0


class TenantEgress(Struct, frozen=True, kw_only=True):
    """Networks that one tenant's webhooks may reach beside those of `EgressSettings.allow`."""

    allow: tuple[Network, ...] = ()


class EgressSettings(Struct, frozen=True, kw_only=True):
    require_https: bool = False
    allow: tuple[Network, ...] = ()
    tenants: dict[str, TenantEgress] = {}


class Limits(Struct, frozen=True, kw_only=True):
    webhooks_per_tenant: Annotated[int, Meta(ge=1, le=100_000)] = 100
    event_bytes: Annotated[int, Meta(ge=256, le=1 << 26)] = 262_144
    batch_events: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    deliveries_per_request: Annotated[int, Meta(ge=1, le=1_000_000)] = 10_000
    waiting_per_tenant: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 1_000_000
    requests_per_second: Annotated[float, Meta(ge=0, le=100_000, extra={"unit": "requests"})] = 0.0
    request_burst: Annotated[int, Meta(ge=1, le=1_000_000)] = 20


class ObserveSettings(Struct, frozen=True, kw_only=True):
    """Each tenant named has series of its own in the metrics."""

    tenant_labels: tuple[str, ...] = ()


class EventTypeSettings(Struct, frozen=True, kw_only=True):
    """An event type of the operator's own. `text` is what stands in the file `schema`. All of it can be read without a
    token, at /openapi.json and /docs."""

    subject: str
    description: str = ""
    schema: str = ""
    example: dict[str, object] | None = None
    text: bytes = b""


class LoggingSettings(Struct, frozen=True, kw_only=True):
    level: LogLevel = "info"
    format: LogFormat = "auto"


class Settings(Struct, frozen=True, kw_only=True):
    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    storage: StorageSettings = StorageSettings()
    delivery: DeliverySettings = DeliverySettings()
    egress: EgressSettings = EgressSettings()
    limits: Limits = Limits()
    observe: ObserveSettings = ObserveSettings()
    logging: LoggingSettings = LoggingSettings()
    events: dict[str, EventTypeSettings] = {}
    """By name: a table of tables, whose keys are the operator's."""


def describe(settings: Settings) -> dict[str, dict[str, object]]:
    """Every setting as plain JSON values, by section and key. Holds no secret: credentials live in files, not here."""
    return {section: _plain(getattr(settings, section)) for section in settings.__struct_fields__}


def keys(section: Struct | dict[str, Any]) -> dict[str, object]:
    """The keys of a section and their values."""
    return section if isinstance(section, dict) else structs.asdict(section)


def _plain(value: Struct | dict[str, Any]) -> dict[str, object]:
    hidden = ("text",) if isinstance(value, EventTypeSettings) else ()
    return {key: _plain_value(part) for key, part in keys(value).items() if part is not None and key not in hidden}


def _plain_value(value: object) -> object:
    if isinstance(value, TcpBind | UnixBind | IPv4Network | IPv6Network):
        return str(value)
    if isinstance(value, tuple):
        return [_plain_value(part) for part in cast("tuple[object, ...]", value)]
    if isinstance(value, Struct | dict):
        return _plain(cast("dict[str, Any]", value))
    return value
