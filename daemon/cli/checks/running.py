"""Whether a daemon runs on this database, answers, and is ready."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import msgspec

from daemon.cli.checks.finding import Finding, failed, ok, warning
from daemon.cli.checks.listening import listening
from daemon.cli.failure import Problem
from daemon.printable import printable
from daemon.settings import TcpBind, UnixBind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from daemon.settings import Bind, ServerSettings, Settings

CHECK = "daemon"
_PATIENCE = 5.0
_NOT_FOUND = 404
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def running(settings: Settings, pid: int | None) -> Iterator[Finding]:
    if pid is None:
        says = f"None is seen that runs on {settings.storage.path}."
        yield warning(CHECK, says, "Start it: systemctl start tenant-webhooks, or tenant-webhooks serve.")
        return
    found = listening(pid)
    places = (found.everywhere if found is not None else []) or _configured(settings.server)
    if not places:
        yield ok(CHECK, f"It runs (process {pid}); its port is in its log.")
        return
    yield _asked(pid, places)


def _configured(server: ServerSettings) -> list[Bind]:
    """Without those whose port the system chooses."""
    return [bind for bind in server.observe_bind or server.bind if isinstance(bind, UnixBind) or bind.port]


def _asked(pid: int, places: Sequence[Bind]) -> Finding:
    bind, *others = places
    try:
        answer = _get(bind)
    except httpx.HTTPError as error:
        says = (
            f"It runs (process {pid}), but does not answer on {bind}: {printable(str(error)) or 'no answer in time'}."
        )
        advice = "Look into its log. If it is stuck, restart it: what was accepted stays (systemctl restart …)."
        return failed(CHECK, says, advice)
    if answer.is_success:
        return ok(CHECK, f"It runs (process {pid}) and is ready.")
    if answer.status_code == _NOT_FOUND and others:  # this route is not on every listener
        return _asked(pid, others)
    return failed(CHECK, f"It runs (process {pid}), but is not ready.", _why(answer))


def _get(bind: Bind) -> httpx.Response:
    transport = httpx.HTTPTransport(uds=bind.path if isinstance(bind, UnixBind) else None, trust_env=False)
    with httpx.Client(transport=transport, trust_env=False, timeout=_PATIENCE) as client:
        return client.get(f"http://{_host(bind)}/readyz")


def _host(bind: Bind) -> str:
    if isinstance(bind, UnixBind):
        return "localhost"
    return str(TcpBind(_EVERYWHERE.get(bind.host, bind.host), bind.port))


def _why(answer: httpx.Response) -> str:
    try:
        problem = msgspec.json.decode(answer.content, type=Problem)
    except msgspec.MsgspecError:
        return f"Something else answers there, with HTTP {answer.status_code}: look into server.bind."
    return printable(problem.detail)
