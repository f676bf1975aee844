"""The tables of recoveries, a part of version 3 of the schema (`schema.py`)."""

from __future__ import annotations

# Of the indexes the first is what a recovery walks along; every delivery but the first of an event to a webhook is in
# the second, so that it says what became of the event since.
RECOVERIES = """
CREATE INDEX deliveries_unsuccessful ON deliveries (webhook, created, seq, status)
    WHERE status IN ('failed', 'interrupted');
CREATE INDEX deliveries_again ON deliveries (event, webhook) WHERE redelivery_of IS NOT NULL;
CREATE TABLE recoveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, tenant INTEGER, webhook INTEGER,
    since INTEGER NOT NULL, until INTEGER NOT NULL, statuses TEXT NOT NULL, last_delivery INTEGER NOT NULL,
    status TEXT NOT NULL, reason TEXT, created INTEGER NOT NULL, finished INTEGER, next_webhook INTEGER, total INTEGER,
    examined INTEGER NOT NULL DEFAULT 0, skipped INTEGER NOT NULL DEFAULT 0, redelivered INTEGER NOT NULL DEFAULT 0,
    succeeded INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, interrupted INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0);
CREATE INDEX recoveries_tenant ON recoveries (tenant, seq);
CREATE INDEX recoveries_running ON recoveries (webhook) WHERE finished IS NULL;
CREATE TABLE recovery_lanes (
    recovery INTEGER NOT NULL, webhook INTEGER NOT NULL, position_created INTEGER NOT NULL,
    position_delivery INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (recovery, webhook)) WITHOUT ROWID;
CREATE INDEX recovery_lanes_webhook ON recovery_lanes (webhook);
CREATE TABLE recovery_deliveries (
    delivery INTEGER PRIMARY KEY, recovery INTEGER NOT NULL, webhook INTEGER NOT NULL);
CREATE INDEX recovery_deliveries_lane ON recovery_deliveries (webhook, recovery)
"""
