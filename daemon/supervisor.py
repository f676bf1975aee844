"""Who starts when and who stops when: the root nursery, and the only file that knows every actor.

    storage ⊃ delivery ⊃ front end

Started from the outside in, stopped from the inside out. One signal sets one deadline for all of it; a second one
cancels. An actor's bug ends the process with exit code 1: systemd restarts it, and the promises hold (CONTRACT §8).

    channel                      capacity            when full                      who closes
    ---------------------------  ------------------  -----------------------------  --------------------------------
    writer's public lane         4,096 commands      503, Retry-After               Persistence.close, by this file
    writer's internal lane       one per tenant      never: an actor waits for one  Persistence.close, by this file
    writer's fan-outs            about 8             the next large publish waits   Persistence.close, by this file
    writer's wake-up             1                   the wake-up is there already   never: it ends with its actor
    a tenant's wake-up           1                   the wake-up is there already   never: it ends with its actor
    jobs for resting workers     256                 never: one for each, at most   the router, when drained
    log buffer                   8 MiB               lines are dropped and counted  LogWriter.close, by this file
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from msgspec import Struct

from daemon import __version__
from daemon.delivery.router import Router
from daemon.egress.policy import AddressPolicy
from daemon.egress.transport import EgressTransport
from daemon.front_end.app import Api, create_app
from daemon.front_end.listeners import SETTINGS, Listener, ListenError, open_listeners
from daemon.front_end.operator_token import OperatorToken, OperatorTokenError
from daemon.front_end.server import Server
from daemon.identifiers import now_ms
from daemon.operations import logs
from daemon.operations.health import Readiness
from daemon.operations.metrics import Metrics
from daemon.operations.process import prepare, settle
from daemon.operations.stall import watched
from daemon.operations.systemd import ServiceManager, report
from daemon.persistence.actor import Persistence
from daemon.persistence.database import UnusableDatabase, advice, open_writer
from daemon.persistence.lock import DatabaseLocked, exclusive
from daemon.persistence.recovery import Recovered, recover
from daemon.persistence.schema import NewerDatabase
from daemon.reloading import Reload
from daemon.settings import EgressSettings, Settings
from daemon.watching import sources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from daemon.front_end.capacity import Role
    from daemon.operations.log_writer import LogWriter

_DONE, _FAILED, _REFUSED = 0, 1, 2
# A busy event loop gives the interpreter up often enough for the writer's thread to get its turn (see DESIGN).
_SWITCH_SECONDS = 0.0005
# What the last commit and the closing of the file may take after the drain's deadline.
_CLOSING_SECONDS = 4.0

log = logs.get_logger()


class _House(Struct, frozen=True):
    """Everything that is made before the first actor starts."""

    settings: Settings
    listeners: list[Listener]
    metrics: Metrics
    store: Persistence
    transport: EgressTransport
    router: Router
    app: Api
    server: Server
    ready: Readiness
    manager: ServiceManager


def main(settings: Settings, read_settings: Callable[[], Settings]) -> int:
    """Serve until a signal; returns the exit code: 0 stopped as asked, 1 failed, 2 refused to start. SIGHUP has the
    settings read again."""
    prepare()
    sys.setswitchinterval(_SWITCH_SECONDS)
    writer = logs.start(settings.logging, sys.stdout)
    try:
        return _start(settings, read_settings, writer)
    finally:
        writer.close(_CLOSING_SECONDS)


def _start(settings: Settings, read_settings: Callable[[], Settings], writer: LogWriter) -> int:
    path = Path(settings.storage.path)
    log.info("daemon.started", version=__version__, pid=os.getpid(), database=str(path))
    try:
        with exclusive(path):
            return _open(settings, read_settings, path, writer)
    except (DatabaseLocked, NewerDatabase, OperatorTokenError, ListenError) as refused:
        log.error("daemon.refused", reason=str(refused))
        return _REFUSED
    except (UnusableDatabase, OSError) as failed:
        log.error("daemon.failed", reason=str(failed))
        return _FAILED
    except sqlite3.Error as damaged:
        log.error("daemon.failed", reason=advice(path, damaged))
        return _FAILED
    except Exception:
        log.exception("daemon.failed")
        return _FAILED


def _open(settings: Settings, read_settings: Callable[[], Settings], path: Path, writer: LogWriter) -> int:
    connection = open_writer(path)
    try:
        operator = OperatorToken.open(settings)
        metrics = Metrics(settings.observe.tenant_labels)
        _tell(recover(connection, now_ms()), metrics)
        listeners = open_listeners(settings.server, os.environ)
    except BaseException:
        connection.close()
        raise
    try:
        build = partial(_build, settings, connection, path, operator, metrics, listeners)
        return trio.run(_serve, build, read_settings, writer)
    finally:
        for listener in listeners:
            listener.close()


def _tell(recovered: Recovered, metrics: Metrics) -> None:
    """Log and count what the start made `interrupted`."""
    metrics.interrupted(recovered.copied)
    for delivery in recovered.interrupted:
        metrics.interrupted(1, delivery.tenant)
        log.warning(
            "delivery.interrupted",
            tenant=delivery.tenant,
            webhook=delivery.webhook,
            delivery=delivery.id,
            event_id=delivery.event,
            event_type=delivery.event_type,
            status="interrupted",
            reason="The daemon stopped during the attempt.",
        )
    if recovered.copied:
        log.warning(
            "delivery.interrupted",
            count=recovered.copied,
            status="interrupted",
            reason="This database is a backup: nothing that waited in it is sent by itself.",
        )


async def _serve(build: Callable[[], _House], read_settings: Callable[[], Settings], writer: LogWriter) -> int:
    house = build()
    house.metrics.observe(sources(house.store, house.router, house.ready, writer))
    reload = Reload(house.settings, read_settings, partial(_apply, house, writer))
    with (
        watched(house.metrics.loop_blocked),
        trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals,
    ):
        async with trio.open_nursery() as root:
            stopping = _Stopping(house.settings.delivery.drain_timeout)
            root.start_soon(_heed, signals, stopping, house, reload)
            root.start_soon(house.metrics.last_hour.run)
            root.start_soon(report, house.manager, partial(_status, house), house.store.heartbeat)
            await _live(house, stopping)
            root.cancel_scope.cancel()
    log.info("daemon.stopped", clean=stopping.clean)
    return _DONE if stopping.clean else _FAILED


def _build(
    settings: Settings,
    connection: sqlite3.Connection,
    path: Path,
    operator: OperatorToken,
    metrics: Metrics,
    listeners: list[Listener],
) -> _House:
    ready = Readiness()
    ready.set("starting", "The daemon is starting.")
    policy = _policy(settings.egress, listeners)
    store = Persistence(connection, path, settings.storage, settings.limits, metrics)
    ready.watch(store.troubles)
    transport = EgressTransport(settings.delivery, settings.egress, policy)
    router = Router(store, transport, settings.delivery, metrics)
    roles: frozenset[Role] = frozenset(listener.role for listener in listeners)
    app = create_app(store, settings, operator, policy, metrics, ready, roles)
    server = Server(app, listeners, settings.server, metrics.refused)
    manager = ServiceManager(os.environ)
    return _House(settings, listeners, metrics, store, transport, router, app, server, ready, manager)


def _policy(egress: EgressSettings, listeners: list[Listener]) -> AddressPolicy:
    own = [listener.socket.getsockname()[:2] for listener in listeners if listener.socket.family != socket.AF_UNIX]
    return AddressPolicy(egress.allow, {tenant: its.allow for tenant, its in egress.tenants.items()}, own)


async def _apply(house: _House, writer: LogWriter, settings: Settings) -> None:
    """Of settings that have been read again, what can change."""
    policy = _policy(settings.egress, house.listeners)
    await house.app.reload(settings, policy)
    house.store.limits = settings.limits
    house.transport.reload(settings.egress, policy)
    logs.adjust(settings.logging, sys.stdout, writer)


class _Stopping:
    """The one deadline of a stop. `clean` is False once anything had to be cut off."""

    def __init__(self, drain_seconds: float) -> None:
        self._drain_seconds = drain_seconds
        self.clean = True
        self.delivery = trio.CancelScope()
        self.storage = trio.CancelScope()

    def begin(self) -> float:
        """Sets and returns the deadline (trio's clock); what still runs a little later is cut off."""
        deadline = trio.current_time() + self._drain_seconds
        self.delivery.deadline = deadline + _CLOSING_SECONDS / 2
        self.storage.deadline = deadline + _CLOSING_SECONDS
        return deadline

    def cut_off(self) -> None:
        self.delivery.cancel()
        self.storage.cancel()


async def _heed(signals: AsyncIterator[int], stopping: _Stopping, house: _House, reload: Reload) -> None:
    """SIGHUP reloads. The first of the others drains, a second one cancels; the first, too, when no outcome can be
    recorded any more."""
    while await anext(signals) == signal.SIGHUP:
        # Before it serves it must not be told that it is ready (again).
        serves = "starting" not in house.ready.reasons()
        if serves:
            house.manager.reloading()
        await reload()
        if serves:
            house.manager.ready()
    deadline = stopping.begin()
    house.manager.stopping()
    log.info("daemon.draining", seconds=house.settings.delivery.drain_timeout, in_flight=house.router.in_flight)
    house.ready.set("draining", "The daemon is stopping.")
    house.server.drain(deadline)
    house.router.drain(deadline)
    house.store.stop_by(deadline + _CLOSING_SECONDS)
    while not house.store.damaged and await anext(signals) == signal.SIGHUP:
        pass
    stopping.cut_off()


async def _live(house: _House, stopping: _Stopping) -> None:
    """Start from the outside in; return when all has stopped, from the inside out."""
    with stopping.storage:
        async with trio.open_nursery() as storage:
            await storage.start(house.store.run, house.router)
            with stopping.delivery:
                await _deliver_and_answer(house)
            house.store.close()
    stopping.clean = not (stopping.delivery.cancelled_caught or stopping.storage.cancelled_caught)


async def _deliver_and_answer(house: _House) -> None:
    async with trio.open_nursery() as connections:
        await connections.start(house.transport.run)
        async with trio.open_nursery() as delivery:
            house.router.offer(house.store.work())
            await delivery.start(house.router.run)
            async with trio.open_nursery() as front_end:
                await front_end.start(house.server.run)
                settle()
                house.ready.clear("starting")
                log.info("daemon.ready", **_addresses(house.listeners))
                house.manager.ready()
        connections.cancel_scope.cancel()


def _status(house: _House) -> str:
    return (
        " ".join(house.ready.reasons().values())
        or f"{house.router.in_flight} in flight, {house.store.waits.total()} waiting"
    )


def _addresses(listeners: list[Listener]) -> dict[str, list[str]]:
    """The addresses really bound, under the names of their settings."""
    bound: dict[str, list[str]] = {}
    for listener in listeners:
        bound.setdefault(SETTINGS[listener.role], []).append(listener.address)
    return bound
