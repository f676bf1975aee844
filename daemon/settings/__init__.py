"""What an operator may decide: read once at start, checked whole, never changed while the daemon runs."""

from daemon.settings.addresses import Bind, Network, TcpBind, UnixBind, parse_bind, parse_network
from daemon.settings.loading import SettingsError, load
from daemon.settings.records import (
    AuthSettings,
    DeliverySettings,
    EgressSettings,
    EventTypeSettings,
    Limits,
    LoggingSettings,
    ObserveSettings,
    ServerSettings,
    Settings,
    StorageSettings,
    TenantEgress,
    describe,
    keys,
)

__all__ = [
    "AuthSettings",
    "Bind",
    "DeliverySettings",
    "EgressSettings",
    "EventTypeSettings",
    "Limits",
    "LoggingSettings",
    "Network",
    "ObserveSettings",
    "ServerSettings",
    "Settings",
    "SettingsError",
    "StorageSettings",
    "TcpBind",
    "TenantEgress",
    "UnixBind",
    "describe",
    "keys",
    "load",
    "parse_bind",
    "parse_network",
]
