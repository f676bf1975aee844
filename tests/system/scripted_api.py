"""A server that answers the command line by a script: as CONTRACT's API does, or as no API should."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple

from click.testing import CliRunner

from daemon.cli.root import cli

if TYPE_CHECKING:
    import socketserver
    from collections.abc import Iterator

    import pytest
    from click.testing import Result

TOKEN = "tw_0123456789abcdef"
WEBHOOK = (
    b'{"id":"w1X2y3Z4","url":"https://yourapp.com/webhooks","name":"Production","events":["onboard.session.completed"],'
    b'"active":true,"created":"2025-10-21T10:00:00Z","updated":"2025-10-21T10:00:00Z","lastDelivered":null,'
    b'"deliveryAttempts":0,"lastDelivery":null}'
)
ACCEPTED = (
    b'{"id":"evt_1","event":"onboard.session.completed","created":"2025-10-21T10:00:00.000Z",'
    b'"deliveries":2,"duplicate":false}'
)
EVENT = b'{ "event": "onboard.session.completed",  "session": {"id": "42", "status": "Complete"} }'


class Answer(NamedTuple):
    status: int = 200
    body: bytes = b"{}"
    kind: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Seen(NamedTuple):
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Gives `answers` in turn, the last one again and again; None closes without one. Remembers what was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer | None] = [Answer()]
        self.seen: list[Seen] = []

    def respond(self, *answers: Answer | None) -> None:
        self.answers = list(answers)

    def handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.seen.append(Seen(self.command, self.path, headers, body))
                answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
                if answer is None:
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.kind)
                self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            def log_message(self, *_arguments: object) -> None:
                """Quiet."""

        return Handler


@contextlib.contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


@contextlib.contextmanager
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """The server, and an environment in which commands find it."""
    for name in [name for name in os.environ if name.startswith("TENANT_WEBHOOKS_")]:
        monkeypatch.delenv(name)
    script = Server()
    with ThreadingHTTPServer(("127.0.0.1", 0), script.handler()) as http, serving(http):
        monkeypatch.setenv("TENANT_WEBHOOKS_URL", f"http://127.0.0.1:{http.server_address[1]}")
        monkeypatch.setenv("TENANT_WEBHOOKS_TOKEN", TOKEN)
        yield script


def run(*arguments: str, input: bytes | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, input=input)


def problem(status: int, **fields: object) -> Answer:
    return Answer(status, json.dumps({"status": status, **fields}).encode(), "application/problem+json")
