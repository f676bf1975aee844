"""Whether a database is whole, and says nothing that contradicts itself. Reads only; a daemon may be running on it.

Each invariant is one statement, so that it sees one moment, and none holds the WAL for longer than it must.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.persistence.database import open_reader
from daemon.persistence.deletion import HIDDEN
from daemon.persistence.schema import MIGRATIONS, refuse_newer, version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_EXAMPLES = 5
# The rows of a removed tenant are being deleted, in steps.
_OF_REMOVED = "IN (SELECT seq FROM tenants WHERE removed = 1)"
_KNOWN_STATUS = "'pending', 'sending', 'succeeded', 'failed', 'interrupted', 'cancelled'"

# Since which version of the schema, what there would be if it were broken, and how to find that.
_INVARIANTS: tuple[tuple[int, str, str], ...] = (
    (
        1,
        "deliveries of events that are not there",
        # But for the one whose deliveries retention is deleting.
        f"""SELECT d.id FROM deliveries d WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.seq = d.event)
            AND d.event IS NOT (SELECT value FROM meta WHERE key = '{HIDDEN}')""",
    ),
    (
        1,
        "deliveries to webhooks that are not there",
        "SELECT d.id FROM deliveries d WHERE NOT EXISTS (SELECT 1 FROM webhooks w WHERE w.seq = d.webhook)",
    ),
    (
        1,
        "deliveries of another tenant's event, or to another tenant's webhook",
        """SELECT d.id FROM deliveries d JOIN webhooks w ON w.seq = d.webhook LEFT JOIN events e ON e.seq = d.event
           WHERE d.tenant <> w.tenant OR d.tenant <> e.tenant""",
    ),
    (
        1,
        "events, webhooks or tokens of tenants that are not there",
        """SELECT id FROM events WHERE tenant NOT IN (SELECT seq FROM tenants)
           UNION ALL SELECT id FROM webhooks WHERE tenant NOT IN (SELECT seq FROM tenants)
           UNION ALL SELECT id FROM tokens WHERE tenant NOT IN (SELECT seq FROM tenants)""",
    ),
    (
        1,
        "webhooks without a secret, or secrets without a webhook",
        f"""SELECT id FROM webhooks w WHERE tenant NOT {_OF_REMOVED}
            AND NOT EXISTS (SELECT 1 FROM secrets s WHERE s.webhook = w.seq AND s.expires IS NULL)
            UNION ALL SELECT 'of webhook ' || webhook FROM secrets WHERE webhook NOT IN (SELECT seq FROM webhooks)""",
    ),
    (
        1,
        "webhooks whose newest secret is not the only one without an end",
        """SELECT w.id FROM webhooks w JOIN secrets s ON s.webhook = w.seq AND s.expires IS NULL
           WHERE s.created < (SELECT max(o.created) FROM secrets o WHERE o.webhook = w.seq)""",
    ),
    (
        1,
        "subscriptions that are not what their webhooks say",
        f"""SELECT w.id FROM webhooks w, json_each(w.events) e WHERE w.active AND w.tenant NOT {_OF_REMOVED}
            AND NOT EXISTS (SELECT 1 FROM subscriptions s
                            WHERE s.tenant = w.tenant AND s.event_type = e.value AND s.webhook = w.seq)
            UNION ALL SELECT 'of webhook ' || s.webhook FROM subscriptions s WHERE NOT EXISTS (
                SELECT 1 FROM webhooks w, json_each(w.events) e
                WHERE w.seq = s.webhook AND w.tenant = s.tenant AND w.active AND e.value = s.event_type)""",
    ),
    (
        1,
        "deliveries whose status does not fit the rest of them",
        f"""SELECT id FROM deliveries WHERE status NOT IN ({_KNOWN_STATUS})
            OR (finished IS NULL) <> (status IN ('pending', 'sending')) OR finished < started
            OR (status = 'sending' AND started IS NULL) OR (error IS NOT NULL) <> (status = 'failed')""",
    ),
    (
        1,
        "webhooks whose counters or last delivery cannot be right",
        """SELECT id FROM webhooks w WHERE delivery_attempts < (
               SELECT count(*) FROM deliveries d WHERE d.webhook = w.seq AND d.error IS NOT NULL
               AND d.status = 'failed' AND d.event_type <> 'webhook.ping')
           OR (last_delivery IS NOT NULL AND NOT json_valid(last_delivery))
           OR cancelled_through > (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'deliveries')""",
    ),
    (
        3,
        "webhooks that fail since no time, or since some time without failures",
        "SELECT id FROM webhooks WHERE (consecutive_failures = 0) <> (failing_since IS NULL)",
    ),
    (
        1,
        "tables whose numbers might be given out twice",
        """SELECT t.name FROM (SELECT 'deliveries' name, max(seq) most FROM deliveries
           UNION ALL SELECT 'events', max(seq) FROM events UNION ALL SELECT 'webhooks', max(seq) FROM webhooks
           UNION ALL SELECT 'tenants', max(seq) FROM tenants UNION ALL SELECT 'tokens', max(seq) FROM tokens) t
           WHERE t.most > (SELECT coalesce(max(s.seq), 0) FROM sqlite_sequence s WHERE s.name = t.name)""",
    ),
    (
        2,
        "events with fewer or more deliveries than their publisher was told",
        f"""SELECT e.id FROM events e WHERE e.tenant NOT {_OF_REMOVED}
            AND NOT EXISTS (SELECT 1 FROM fan_outs f WHERE e.seq BETWEEN f.first_event AND f.last_event)
            AND e.deliveries <> (
                SELECT count(*) FROM deliveries d WHERE d.event = e.seq AND d.redelivery_of IS NULL)""",
    ),
    (
        2,
        "promised deliveries that cannot be made as they were promised",
        f"""SELECT 'promise ' || f.seq FROM fan_outs f
            WHERE f.first_event > f.last_event
            OR f.next_delivery - 1 > (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'deliveries')
            OR EXISTS (SELECT 1 FROM json_each(f.targets) t
                       WHERE t.value ->> 2 NOT IN (SELECT seq FROM webhooks) AND t.value ->> 0 NOT {_OF_REMOVED}
                       AND t.value ->> 0 IN (SELECT seq FROM tenants))
            OR EXISTS (SELECT 1 FROM deliveries d WHERE d.event BETWEEN f.first_event AND f.last_event
                       AND d.redelivery_of IS NULL)""",
    ),
    (
        3,
        "recoveries, or parts of them, of what is not there",
        f"""SELECT id FROM recoveries WHERE (tenant IS NOT NULL AND tenant NOT IN (SELECT seq FROM tenants))
            OR (webhook IS NOT NULL AND webhook NOT IN (SELECT seq FROM webhooks) AND tenant NOT {_OF_REMOVED})
            UNION ALL SELECT 'of webhook ' || webhook FROM recovery_lanes l
            WHERE NOT EXISTS (SELECT 1 FROM recoveries r WHERE r.seq = l.recovery)
            OR NOT EXISTS (SELECT 1 FROM webhooks w WHERE w.seq = l.webhook)
            UNION ALL SELECT 'delivery ' || delivery FROM recovery_deliveries o
            WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.seq = o.delivery AND d.webhook = o.webhook
                              AND d.redelivery_of IS NOT NULL)
            OR NOT EXISTS (SELECT 1 FROM recovery_lanes l WHERE l.recovery = o.recovery AND l.webhook = o.webhook)""",
    ),
    (
        3,
        "recoveries that contradict themselves",
        f"""SELECT id FROM recoveries r WHERE status NOT IN ('running', 'completed', 'cancelled')
            OR (finished IS NULL) <> (status = 'running') OR examined <> skipped + redelivered
            OR succeeded + failed + interrupted + cancelled > redelivered OR NOT json_valid(statuses)
            OR (status <> 'running' AND next_webhook IS NOT NULL)
            OR (status = 'running' AND next_webhook IS NULL AND coalesce(tenant, 0) NOT {_OF_REMOVED}
                AND NOT EXISTS (SELECT 1 FROM recovery_lanes l WHERE l.recovery = r.seq))""",
    ),
    (
        3,
        "webhooks whose own headers or limits cannot be right",
        """SELECT id FROM webhooks WHERE timeout < 1 OR timeout > 30 OR max_concurrent < 1
           OR (headers IS NOT NULL AND iif(json_valid(headers), json_type(headers) <> 'object', 1))""",
    ),
    (
        1,
        "settings of the database itself that are missing or wrong",
        """SELECT key FROM (SELECT 'cursor_key' key UNION ALL SELECT 'copy') k WHERE NOT EXISTS (
               SELECT 1 FROM meta m WHERE m.key = k.key
               AND iif(k.key = 'copy', m.value IN (0, 1), length(m.value) = 32))""",
    ),
)


class Facts(Struct, frozen=True):
    """What a database is: its schema's version, whether it is a copy made by `backup` on which no daemon has started
    yet, how much it holds."""

    version: int
    copy: bool
    tenants: int
    events: int
    deliveries: int
    waiting: int
    sending: int


class Report(Struct, frozen=True):
    """`problems`: each a sentence, none if the database is sound. `facts` is None where they cannot be read."""

    facts: Facts | None
    problems: list[str]

    @property
    def outdated(self) -> bool:
        """A start will migrate it."""
        return self.facts is not None and self.facts.version < len(MIGRATIONS)


def check(path: Path) -> Report:
    """Read all of the database at `path`. Raises `NewerDatabase`, and sqlite3.Error for a file that is none, or too
    damaged to be read."""
    with closing(open_reader(path)) as db:
        refuse_newer(db)
        found = version(db)
        if not found:
            return Report(None, ["There is no schema in it: no daemon has ever started on this file."])
        damage = [str(line) for (line,) in db.execute("PRAGMA integrity_check(20)") if line != "ok"]
        if damage:
            # What the tables say cannot be relied upon.
            return Report(None, [f"SQLite finds it damaged: {line}" for line in damage])
        problems = [
            problem for since, name, query in _INVARIANTS if since <= found for problem in _broken(db, name, query)
        ]
        return Report(_facts(db, found), problems)


def _broken(db: sqlite3.Connection, name: str, query: str) -> Iterator[str]:
    try:
        rows = db.execute(f"SELECT * FROM ({query}) LIMIT {_EXAMPLES + 1}").fetchall()
    except sqlite3.OperationalError as error:  # a text that should be JSON and is not
        yield f"It cannot be said whether there are {name}: {error}"
        return
    if rows:
        examples = ", ".join(str(example) for (example,) in rows[:_EXAMPLES])
        yield f"There are {name}: {examples}{' and more' if len(rows) > _EXAMPLES else ''}"


def _facts(db: sqlite3.Connection, found: int) -> Facts:
    row = db.execute(
        """SELECT (SELECT value FROM meta WHERE key = 'copy'), (SELECT count(*) FROM tenants WHERE removed = 0),
           (SELECT count(*) FROM events), (SELECT count(*) FROM deliveries),
           (SELECT count(*) FROM deliveries WHERE finished IS NULL AND status = 'pending'),
           (SELECT count(*) FROM deliveries WHERE finished IS NULL AND status = 'sending')"""
    ).fetchone()
    copy, tenants, events, deliveries, waiting, sending = row
    return Facts(found, bool(copy), tenants, events, deliveries, waiting, sending)
