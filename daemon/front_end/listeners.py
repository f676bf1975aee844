"""Opens what the front end listens on: TCP, Unix sockets, and sockets that systemd opened for us (sd_listen_fds(3))."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, cast, get_args

from daemon.front_end.capacity import Role
from daemon.settings import TcpBind, UnixBind

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from daemon.settings import Bind, ServerSettings

    _AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]

FIRST_FD = 3  # SD_LISTEN_FDS_START
SETTINGS: dict[Role, str] = {"main": "bind", "observe": "observe_bind", "admin": "admin_bind"}


class ListenError(Exception):
    """A place to listen on could not be had; the message names the setting and says what to change."""


class Listener:
    """An open listening socket. `address` is what was really bound, as an operator writes it: `127.0.0.1:8080`,
    `[::1]:8080`, `unix:/path`."""

    def __init__(self, sock: socket.socket, role: Role, *, path: str | None = None) -> None:
        self.socket = sock
        self.role: Role = role
        self.address = _describe(sock)
        self._path = path
        self._identity = _identity(path) if path is not None else None

    def close(self) -> None:
        """Stops listening, and removes the Unix socket's file if we made it and it is still ours. May be repeated."""
        if self.socket.fileno() < 0:
            return
        if self._path is not None and _identity(self._path) == self._identity:
            with suppress(OSError):
                os.unlink(self._path)
        self.socket.close()

    def __repr__(self) -> str:
        return f"Listener({self.address!r}, {self.role!r})"


def open_listeners(settings: ServerSettings, environ: Mapping[str, str]) -> list[Listener]:
    """Every listener of the configuration, listening. Raises ListenError, and has then opened none.

    Sockets that systemd passed stand in for the binds of their role, which `FileDescriptorName=` gives (`main`,
    `observe`, `admin`; any other name is `main`).
    """
    opened = _activated(environ)
    given = {listener.role for listener in opened}
    try:
        for role, setting in SETTINGS.items():
            if role in given:
                continue
            binds: tuple[Bind, ...] = getattr(settings, setting)
            for bind in binds:
                try:
                    opened.extend(_unix(bind, role) if isinstance(bind, UnixBind) else _tcp(bind, role))
                except OSError as error:
                    raise ListenError(f"server.{setting}: cannot listen on {bind}: {reason(error)}") from error
    except ListenError:
        for listener in opened:
            listener.close()
        raise
    return opened


def probe(bind: Bind) -> OSError | None:
    """What would keep a daemon from listening there now, if anything. It never listens itself, so that it is in the way
    of none that starts meanwhile."""
    try:
        if isinstance(bind, UnixBind):
            _stale(bind.path)
            return None if os.access(os.path.dirname(bind.path), os.W_OK | os.X_OK) else OSError(errno.EACCES, "")
        for family, kind, protocol, _, address in dict.fromkeys(_found(bind)):
            with socket.socket(family, kind, protocol) as sock:
                _prepare(sock)
                sock.bind(address)
    except OSError as error:
        return error
    return None


def _found(bind: TcpBind) -> list[_AddressInfo]:
    return socket.getaddrinfo(bind.host, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)


def _tcp(bind: TcpBind, role: Role) -> list[Listener]:
    """One listener for each address of the host; an IPv6 one takes IPv6 only, so both families can be given."""
    listeners: list[Listener] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(_found(bind)):
            with _closing_on_error(socket.socket(family, kind, protocol)) as sock:
                _prepare(sock)
                sock.bind(address)
                sock.listen(socket.SOMAXCONN)
                listeners.append(Listener(sock, role))
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _unix(bind: UnixBind, role: Role) -> list[Listener]:
    """Open to the owner and the group (0660): a reverse proxy gets in by being in the group."""
    _remove_stale(bind.path)
    with _closing_on_error(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as sock:
        sock.bind(bind.path)
        os.chmod(bind.path, 0o660)
        sock.listen(socket.SOMAXCONN)
        return [Listener(sock, role, path=bind.path)]


def _remove_stale(path: str) -> None:
    """Removes the socket file of a process that is gone. Raises OSError if somebody listens or it is no socket."""
    if _stale(path):
        os.unlink(path)


def _stale(path: str) -> bool:
    """Whether there is a socket file whose process is gone; false if there is none. Raises OSError if somebody listens
    or it is no socket."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "the path exists and is not a socket; remove it or choose another")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        try:
            caller.connect(path)
        except ConnectionRefusedError:
            return True
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, "")


def roles_passed(environ: Mapping[str, str], pid: int) -> list[Role]:
    """Of the sockets that systemd passed to the process `pid`, by its environment: their roles, from `FIRST_FD` on.
    Raises ListenError."""
    if environ.get("LISTEN_PID") != str(pid):
        return []  # meant for another process: a wrapper that did not exec, or a parent of ours
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    try:
        count = int(environ.get("LISTEN_FDS", ""))
    except ValueError:
        raise ListenError(
            "LISTEN_PID is set but LISTEN_FDS is not a number: unset both, or let systemd set them"
        ) from None
    given = [names[offset] if offset < len(names) else "main" for offset in range(count)]
    return [cast("Role", name) if name in get_args(Role) else "main" for name in given]


def _activated(environ: Mapping[str, str]) -> list[Listener]:
    return [Listener(_inherited(fd), role) for fd, role in enumerate(roles_passed(environ, os.getpid()), FIRST_FD)]


def _inherited(fd: int) -> socket.socket:
    try:
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        listening = sock.type == socket.SOCK_STREAM and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ListenError(f"descriptor {fd} from systemd is not a socket: {error.strerror}") from error
    if not listening:
        raise ListenError(f"descriptor {fd} from systemd does not listen: use ListenStream= and Accept=no")
    return sock


@contextmanager
def _closing_on_error(sock: socket.socket) -> Generator[socket.socket, None, None]:
    try:
        yield sock
    except BaseException:
        sock.close()
        raise


def _describe(sock: socket.socket) -> str:
    name = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return str(UnixBind(name))
    return str(TcpBind(name[0], name[1]))


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def reason(error: OSError) -> str:
    """Why an address cannot be listened on, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return "another process listens there; stop it or choose another address"
    if error.errno == errno.EACCES:
        return "permission denied; ports below 1024 and system folders need a privilege"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    return error.strerror or str(error)
