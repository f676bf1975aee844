"""What the front end listens on: TCP, Unix sockets, sockets from systemd."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import trio
from server_shell import ANYWHERE, Client, hello, serving

from daemon.front_end.listeners import ListenError, open_listeners
from daemon.settings import ServerSettings, TcpBind, UnixBind

if TYPE_CHECKING:
    from pathlib import Path


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 (containers often have none)")


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6), "localhost"])
async def test_port_0_is_bound_to_a_port_that_the_address_tells(host: str) -> None:
    async with serving(hello, bind=(TcpBind(host, 0),)) as shell:
        for listener in shell.listeners:
            where, _, port = listener.address.rpartition(":")
            with trio.socket.socket(listener.socket.family) as sock:
                await sock.connect((where.strip("[]"), int(port)))
                assert (await Client(trio.SocketStream(sock)).get()).status == 200


@needs_ipv6
def test_an_ipv6_address_is_written_in_brackets() -> None:
    (listener,) = open_listeners(ServerSettings(bind=(TcpBind("::1", 0),)), {})
    assert listener.address == f"[::1]:{listener.socket.getsockname()[1]}"
    listener.close()


@needs_ipv6
def test_both_families_can_have_the_same_port() -> None:
    (first,) = open_listeners(ServerSettings(bind=(TcpBind("::", 0),)), {})
    (second,) = open_listeners(ServerSettings(bind=(TcpBind("0.0.0.0", first.socket.getsockname()[1]),)), {})
    first.close()
    second.close()


async def test_each_listener_tells_its_role_to_the_application() -> None:
    async with serving(hello, observe_bind=(ANYWHERE,), admin_bind=(ANYWHERE,)) as shell:
        for role in ("main", "observe", "admin"):
            async with shell.client(role) as client:
                assert (await client.get()).body.split()[2] == role.encode()


def test_a_taken_address_is_a_clear_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    (taken,) = open_listeners(ServerSettings(bind=(ANYWHERE,)), {})
    path = tmp_path / "api.sock"
    port = taken.socket.getsockname()[1]
    settings = ServerSettings(bind=(UnixBind(str(path)),), admin_bind=(TcpBind("127.0.0.1", port),))
    with pytest.raises(ListenError, match=rf"server\.admin_bind: cannot listen on 127\.0\.0\.1:{port}: another"):
        open_listeners(settings, {})
    assert not path.exists()
    taken.close()


def test_an_address_of_another_machine_is_a_clear_error() -> None:
    with pytest.raises(ListenError, match="no such address"):
        open_listeners(ServerSettings(bind=(TcpBind("192.0.2.1", 0),)), {})


async def test_a_unix_socket_serves_is_open_to_its_group_and_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    async with serving(hello, bind=(UnixBind(str(path)),)) as shell:
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert shell.listeners[0].address == f"unix:{path}"
        async with shell.client() as client:
            assert (await client.get()).status == 200
        shell.server.drain(trio.current_time() + 5)
        assert not path.exists()
        await shell.stopped.wait()


def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    (listener,) = open_listeners(ServerSettings(bind=(UnixBind(str(path)),)), {})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    listener.close()


def test_the_socket_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    settings = ServerSettings(bind=(UnixBind(str(tmp_path / "api.sock")),))
    (living,) = open_listeners(settings, {})
    with pytest.raises(ListenError, match="another process listens there"):
        open_listeners(settings, {})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(living.socket.getsockname())
    living.close()


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(ListenError, match="not a socket"):
        open_listeners(ServerSettings(bind=(UnixBind(str(path)),)), {})
    assert path.read_text() == "data"


def test_closing_leaves_a_socket_that_somebody_else_has_put_there(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    (listener,) = open_listeners(ServerSettings(bind=(UnixBind(str(path)),)), {})
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        listener.close()
        listener.close()
    assert path.exists()


ACTIVATED = """
import os, sys
from daemon.front_end.listeners import ListenError, open_listeners
from daemon.settings import ServerSettings, TcpBind
# As systemd does it: the descriptors in their places, LISTEN_PID that of the process.
for fd, source in enumerate(map(int, sys.argv[1].split(",")), 3):
    os.dup2(source, fd)
environ = dict(os.environ, LISTEN_PID=str(os.getpid() + int(sys.argv[2])))
try:
    for listener in open_listeners(ServerSettings(bind=(TcpBind("127.0.0.1", 0),)), environ):
        print(listener.role, listener.address, os.get_inheritable(listener.socket.fileno()))
except ListenError as error:
    print("error:", error)
"""


def activate(*sockets: socket.socket, other_process: bool = False, **environ: str) -> list[str]:
    high = [os.dup2(sock.fileno(), 50 + n) for n, sock in enumerate(sockets)]
    try:
        done = subprocess.run(
            [sys.executable, "-c", ACTIVATED, ",".join(map(str, high)), str(int(other_process))],
            env={**os.environ, "LISTEN_FDS": str(len(sockets)), **environ},
            pass_fds=high,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    finally:
        for fd in high:
            os.close(fd)
    return done.stdout.splitlines()


def test_sockets_from_systemd_stand_in_for_the_binds_of_their_role() -> None:
    with socket.create_server(("127.0.0.1", 0)) as main, socket.create_server(("127.0.0.1", 0)) as observe:
        lines = activate(main, observe, LISTEN_FDNAMES="webhooks.socket:observe")
        assert lines == [
            f"main 127.0.0.1:{main.getsockname()[1]} False",
            f"observe 127.0.0.1:{observe.getsockname()[1]} False",
        ]


def test_sockets_meant_for_another_process_are_not_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as main:
        (line,) = activate(main, other_process=True)
        assert line.startswith("main 127.0.0.1:")
        assert f":{main.getsockname()[1]} " not in line


def test_a_descriptor_that_does_not_listen_is_a_clear_error() -> None:
    with socket.socket() as sock:
        assert activate(sock) == ["error: descriptor 3 from systemd does not listen: use ListenStream= and Accept=no"]


def test_a_count_that_is_no_number_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        (line,) = activate(sock, LISTEN_FDS="many")
        assert line.startswith("error: LISTEN_PID is set but LISTEN_FDS is not a number")
