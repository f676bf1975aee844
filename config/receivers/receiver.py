"""A receiver in Python: verifies every delivery, drops duplicates, does the work once.

    pip install "standardwebhooks>=1.1"
    WEBHOOK_SECRET=whsec_… python receiver.py

PORT (9000) is where it listens, SEEN (seen-webhooks.db) which deliveries it remembers. It needs Python 3.11 or newer.
"""

import os
import sqlite3
import sys
import traceback
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

MOST_BYTES = 1 << 20
SEEN = os.environ.get("SEEN", "seen-webhooks.db")
webhook = Webhook(os.environ["WEBHOOK_SECRET"])


def work(database, event):
    """What you do about an event. Raising leaves it undone: a redelivery will then not count as a duplicate."""
    print(f"did the work of {event['Event']}: {event.get('Session', event)}", flush=True)


def once(id, event):
    """The same id comes again only when somebody asks for a redelivery. It is noted in the transaction of the work:
    both happen, or neither."""
    with closing(sqlite3.connect(SEEN, timeout=30)) as database, database:
        if database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (id,)).rowcount:
            work(database, event)
        else:
            print(f"a duplicate: {id}", flush=True)


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # the sender keeps its connection for the next delivery
    timeout = 30

    def do_POST(self):
        length = self.headers.get("content-length", "")
        if self.path != "/webhooks" or not length.isdecimal() or int(length) > MOST_BYTES:
            self.close_connection = True
            return self.answer(404 if self.path != "/webhooks" else 413)
        body = self.rfile.read(int(length))
        try:
            # The bytes as they came: JSON that was decoded and encoded again has another signature.
            event = webhook.verify(body, dict(self.headers))
        except (WebhookVerificationError, ValueError) as error:
            self.log_message("refused: %s", error)
            return self.answer(401)
        try:
            once(self.headers["webhook-id"], event)
        except Exception:
            traceback.print_exc()
            return self.answer(500)
        return self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()


if __name__ == "__main__":
    with closing(sqlite3.connect(SEEN)) as database:
        database.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY) WITHOUT ROWID")
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Receiver)
    print(f"listening on http://127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
    server.serve_forever()
