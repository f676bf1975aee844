"""`tenant-webhooks demo`: the main job, shown with the real daemon on real sockets and a real file, and checked."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import trio

from daemon import __version__
from daemon.cli.child import Child, ChildFailed, child
from daemon.cli.client import Api
from daemon.cli.endings import first, run
from daemon.cli.failure import Failure
from daemon.cli.identifiers import path
from daemon.cli.inbox import Inbox
from daemon.cli.narration import DemoFailed, Narrator, curl
from daemon.cli.output import Document, Page
from daemon.cli.receiver import receive
from daemon.sample import DELIVERED, PUBLISHED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from daemon.cli.receiver import Request

_WHOLE_SECONDS = 90.0
_ARRIVAL_SECONDS = 15.0
_POLL_SECONDS = 0.02


@click.command(short_help="Show the main job, checked, in seconds.")
def demo() -> None:
    """Show the main job in seconds: a daemon, a receiver, a registration, an event, one verified delivery.

    Uses the real daemon on free ports and a database in a temporary folder, and leaves nothing behind. Exit code 0
    only if everything held.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="tenant-webhooks-demo-") as folder:
            config = Path(folder, "tenant-webhooks.toml")
            config.write_text(configuration(Path(folder, "tenant-webhooks.db")), encoding="utf-8")
            run(partial(_main, config))
    except OSError as error:
        raise click.ClickException(f"The demonstration cannot run here: {error}") from None


async def _main(config: Path) -> None:
    narrator = Narrator()
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
        async with trio.open_nursery() as nursery:

            async def stop_when_told() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(stop_when_told)
            await _demonstrate(config, narrator)
            nursery.cancel_scope.cancel()
            return
    raise click.ClickException("Stopped before its end.")


async def _demonstrate(config: Path, narrator: Narrator) -> None:
    """Raises `click.ClickException` with the reason, after the daemon's log, when something does not hold."""
    async with child(config, os.environ) as daemon:
        try:
            with trio.fail_after(_WHOLE_SECONDS):
                await _Demo(narrator, daemon, config).run()
            return
        except BaseExceptionGroup as group:
            error = first(group, DemoFailed, ChildFailed, Failure, OSError)
            if error is None:
                raise
            reason = str(error)
        except trio.TooSlowError:
            reason = f"It was not done after {_WHOLE_SECONDS:g} s."
    click.echo("\nThe daemon's log:", err=True)
    for line in daemon.log:
        click.echo(f"  {narrator.concealed(line)}", err=True)
    raise click.ClickException(f"The demonstration failed. {narrator.concealed(reason)}")


def configuration(database: Path) -> str:
    """The daemon's configuration; a JSON string is a TOML string."""
    return (
        '[server]\nbind = ["127.0.0.1:0"]\n\n'
        f"[storage]\npath = {json.dumps(str(database))}\n\n"
        '# Deliveries to this machine are refused unless this opens it.\n[egress]\nallow = ["127.0.0.0/8"]\n\n'
        '[logging]\nformat = "json"\n'
    )


class _Demo:
    """The steps, in order; each one needs those before."""

    def __init__(self, narrator: Narrator, daemon: Child, config: Path) -> None:
        self._say = narrator
        self._daemon = daemon
        self._config = config
        self._requests: list[Request] = []
        self._arrived = trio.Event()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            await nursery.start(receive, listeners, self._answer)
            receiver = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/webhooks"
            operator = await self._start()
            with Api(self._daemon.url, operator) as api:
                token = await self._admit(api)
            with Api(self._daemon.url, token) as api:
                secret = await self._register(api, receiver)
                event = await self._publish(api)
                await self._inspect(event, secret)
                await self._look_up(api, event)
            await self._stop()
            nursery.cancel_scope.cancel()

    def _answer(self, request: Request) -> int:
        self._requests.append(request)
        self._arrived.set()
        return 200

    async def _start(self) -> str:
        self._say.step("Start the daemon")
        self._say.command(f"tenant-webhooks serve --config {self._config}")
        started = trio.current_time()
        await self._daemon.ready()
        self._say.holds(f"ready on {self._daemon.url} in {trio.current_time() - started:.1f} s", True)
        # The daemon makes it beside its database at its first start.
        file = self._config.with_name("operator.token")
        self._operator = f"$(cat {file})"
        return self._say.conceal(operator_token(file))

    async def _admit(self, api: Api) -> str:
        """A tenant and a token of it."""
        self._say.step("As the operator, create a tenant")
        await self._call(api, "POST", path("tenants"), self._operator, b'{"id":"acme","name":"Acme"}')
        self._say.step("Create a token for it, which is shown this once")
        document = b'{"name":"demo","permissions":["manage_webhooks","publish_events"]}'
        answer = await self._call(api, "POST", path("tenants", "acme", "tokens"), self._operator, document, "token")
        return _text(answer, "token")

    async def _register(self, api: Api, receiver: str) -> str:
        self._say.step("As the tenant, register a webhook, which has a secret of its own")
        document = msgspec.json.encode({"url": receiver, "name": "Demo receiver"})
        answer = await self._call(api, "POST", path("webhooks"), self._shown(api), document, "secret")
        return _text(answer, "secret")

    async def _publish(self, api: Api) -> str:
        self._say.step("Publish what happened")
        answer = await self._call(api, "POST", path("events"), self._shown(api), PUBLISHED)
        self._say.holds("accepted for one webhook", answer.get("deliveries") == 1, f"The answer says {answer}.")
        return _text(answer, "id")

    async def _inspect(self, event: str, secret: str) -> None:
        """What arrived, against CONTRACT §1."""
        self._say.step("See what arrived at the receiver")
        with trio.move_on_after(_ARRIVAL_SECONDS):
            await self._arrived.wait()
        if not self._requests:
            raise DemoFailed(f"Nothing arrived within {_ARRIVAL_SECONDS:g} s.")
        request = self._requests[0]
        self._say.shown(f"{request.method} {request.target}", *(f"{name}: {value}" for name, value in request.headers))
        self._say.shown("", request.body.decode("utf-8", "replace"))
        self._say.holds("the body is the documented one, byte for byte", request.body == DELIVERED)
        length, coding = request.header("content-length"), request.header("transfer-encoding")
        self._say.holds("its length is announced, not chunked", (length, coding) == (str(len(DELIVERED)), None))
        agent = f"Tenant-Webhooks/{__version__}"
        self._say.holds(f"it is sent by {agent}", request.header("user-agent") == agent)
        self._say.holds("webhook-id is the event's id", request.header("webhook-id") == event)
        receipt = Inbox(secret).take(request)
        self._say.holds(
            "the standardwebhooks library verifies the signature", receipt.verified is True, receipt.why or ""
        )

    async def _look_up(self, api: Api, event: str) -> None:
        """The daemon's record, as soon as the outcome is on disk."""
        self._say.step("See how it went, from the daemon's side")
        with trio.move_on_after(_ARRIVAL_SECONDS):
            while True:
                delivery = await self._finished(api, event)
                if delivery is not None:
                    break
                await trio.sleep(_POLL_SECONDS)
            record = await self._call(api, "GET", path("deliveries", delivery), self._shown(api))
            self._say.holds(
                "recorded as succeeded with status 200",
                (record.get("status"), record.get("statusCode")) == ("succeeded", 200),
            )
            return
        raise DemoFailed(f"The delivery's outcome was not on record within {_ARRIVAL_SECONDS:g} s.")

    async def _finished(self, api: Api, event: str) -> str | None:
        body = await _in_thread(api, "GET", path("deliveries"))
        for item in msgspec.json.decode(body, type=Page).data:
            delivery = msgspec.json.decode(item, type=Document)
            if delivery.get("event") == event and delivery.get("status") not in ("pending", "sending"):
                return _text(delivery, "id")
        return None

    async def _stop(self) -> None:
        self._say.step("Stop the daemon")
        self._say.command(f"kill -TERM {self._daemon.pid}")
        code = await self._daemon.stop()
        self._say.holds("it ended with exit code 0", code == 0, f"It ended with {code}.")
        self._say.holds("exactly one POST was made", len(self._requests) == 1, f"{len(self._requests)} were.")

    async def _call(
        self, api: Api, method: str, where: str, shown: str, content: bytes | None = None, secret: str | None = None
    ) -> Document:
        """One request, shown as the curl command and the answer; `secret` names a field of it to cut short."""
        self._say.command(curl(method, api.url + where, shown, content))
        body = await _in_thread(api, method, where, content)
        answer = msgspec.json.decode(body, type=Document)
        if secret is not None:
            self._say.conceal(_text(answer, secret))
        self._say.shown(body.decode())
        return answer

    def _shown(self, api: Api) -> str:
        return self._say.concealed(api.token)


async def _in_thread(api: Api, method: str, where: str, content: bytes | None = None) -> bytes:
    # Abandoned when cancelled: the client's own time-outs end the thread.
    return await trio.to_thread.run_sync(partial(api.send, method, where, content=content), abandon_on_cancel=True)


def operator_token(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise DemoFailed(f"The operator's token should be in {file}: {error.strerror}.") from None


def _text(document: Mapping[str, object], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str):
        raise DemoFailed(f"The answer has no {key}.")
    return value
