"""The front end's shell: accepts connections, bounds their number, and lets them end in an orderly way."""

from __future__ import annotations

from errno import EMFILE, ENFILE, ENOBUFS, ENOMEM
from typing import TYPE_CHECKING

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.trio.worker_context import WorkerContext
from msgspec import Struct

from daemon.front_end.capacity import Crowd, Role
from daemon.front_end.connection import Connection
from daemon.front_end.protocol import ProtocolConfig
from daemon.operations.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hypercorn.typing import ASGIFramework

    from daemon.front_end.framing import Refused
    from daemon.front_end.listeners import Listener
    from daemon.settings import ServerSettings

log = get_logger()

OWN_LIMIT = 100
ACCEPT_PAUSE = 0.1
_EXHAUSTED = (EMFILE, ENFILE, ENOBUFS, ENOMEM)


class Statistics(Struct, frozen=True):
    """How many connections are open per role, and how many of those wait for the other side."""

    open: dict[Role, int]
    resting: dict[Role, int]
    draining: bool


class Server:
    """Serves an ASGI application on listeners that are already open, and owns them from here on.

    `scope["state"]` of each request holds `role` (its listener's) and `draining`. `observe` and `admin` have limits of
    their own, so that an operator gets in while `main` is full.
    """

    def __init__(
        self, app: ASGIFramework, listeners: Sequence[Listener], settings: ServerSettings, refused: Refused
    ) -> None:
        self._app = ASGIWrapper(app)
        self._refused = refused
        self._listeners = listeners
        self._timeout = settings.request_timeout
        self._config = ProtocolConfig()
        self._crowds: dict[Role, Crowd] = {
            "main": Crowd("main", settings.max_connections),
            "observe": Crowd("observe", OWN_LIMIT),
            "admin": Crowd("admin", OWN_LIMIT),
        }
        self._accepting = trio.CancelScope()
        self._serving = trio.CancelScope()
        self._draining = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Accepts and serves until `drain` was called and the last connection has ended, or its deadline has passed.

        Cancelled: listeners and connections close at once, handlers are cancelled where they wait.
        """
        context = WorkerContext(None)
        try:
            with self._serving:
                async with trio.open_nursery() as connections:
                    with self._accepting:
                        async with trio.open_nursery() as accepting:
                            for listener in () if self._draining else self._listeners:
                                source = trio.SocketListener(trio.socket.from_stdlib_socket(listener.socket))
                                accepting.start_soon(self._accept, listener, source, context, connections)
                            task_status.started()
        finally:
            self._close_listeners()

    def drain(self, deadline: float) -> None:
        """Stops accepting at once; idle connections close, requests in progress are answered and end theirs. What is
        left at `deadline` (trio's clock) is cancelled. May be called again with an earlier deadline."""
        self._serving.deadline = min(self._serving.deadline, deadline)
        if self._draining:
            return
        self._draining = True
        self._accepting.cancel()
        self._close_listeners()
        for crowd in self._crowds.values():
            crowd.drain()

    def statistics(self) -> Statistics:
        return Statistics(
            {role: len(crowd.members) for role, crowd in self._crowds.items()},
            {role: crowd.resting for role, crowd in self._crowds.items()},
            self._draining,
        )

    async def _accept(
        self, listener: Listener, source: trio.SocketListener, context: WorkerContext, connections: trio.Nursery
    ) -> None:
        """One listener's loop. An accept that fails is logged once until one succeeds, and tried again: no lack of
        descriptors or memory, and nothing a client does to its socket, ends it."""
        crowd = self._crowds[listener.role]
        failing = False
        while True:
            try:
                stream = await source.accept()
            except trio.ClosedResourceError:
                return
            except OSError as error:
                if not failing:
                    log.error("http.accept_failing", address=listener.address, error=error.strerror)
                failing = True
                if error.errno in _EXHAUSTED:
                    crowd.evict()
                await trio.sleep(ACCEPT_PAUSE)
                continue
            if failing:
                log.info("http.accept_recovered", address=listener.address)
                failing = False
            try:
                await crowd.room()
            except trio.Cancelled:
                stream.socket.close()
                raise
            connection = Connection(self._app, stream, crowd, self._config, context, self._timeout, self._refused)
            crowd.join(connection)
            connections.start_soon(connection.run)

    def _close_listeners(self) -> None:
        for listener in self._listeners:
            if listener.socket.fileno() >= 0:
                trio.lowlevel.notify_closing(listener.socket)
            listener.close()
