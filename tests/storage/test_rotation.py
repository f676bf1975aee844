"""Rotating secrets on disk: what a claim signs with at each moment, and what is left in the file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from daemon.model import SigningSecret
from daemon.persistence import housekeeping
from daemon.persistence.backlog import Backlog
from daemon.persistence.checking import check
from daemon.persistence.clock_steps import ClockSteps
from daemon.persistence.commands import Claim, Progress, RotateSecret
from daemon.persistence.database import open_writer
from daemon.persistence.execution import execute
from daemon.persistence.signing_secrets import MOST_LIVE, rotated
from daemon.refusals import Conflict, LimitReached, NotFound
from daemon.settings import Limits
from tests.storage.stores import PATIENCE, running

if TYPE_CHECKING:
    from pathlib import Path

    from daemon.model import Webhook
    from tests.storage.stores import Store

NOW = 4_000_000_000_000
HOUR = 3_600_000
FIRST, SECOND, THIRD = b"k" * 32, b"n" * 32, b"m" * 32


class Moments:
    """A webhook with events that wait, and a clock that the test sets."""

    def __init__(self, path: Path, webhook: Webhook) -> None:
        self._path = path
        self._webhook = webhook

    def rotate(self, key: bytes, at: int, overlap: int) -> object:
        command = RotateSecret(self._webhook.tenant, self._webhook.id, key, overlap)
        with closing(open_writer(self._path)) as db:
            (answer,) = execute(db, [command], at, Limits(), Backlog(), ClockSteps(db)).answers
        assert check(self._path).problems == []
        return answer

    def keys(self, at: int) -> tuple[bytes, ...]:
        claim = Progress(self._webhook.tenant, [], [], [Claim(self._webhook.seq, 1)])
        with closing(open_writer(self._path)) as db:
            (done,) = execute(db, [claim], at, Limits(), Backlog(), ClockSteps(db)).answers
        return done.endpoints[self._webhook.seq].secrets


@pytest.fixture
async def moments(path: Path) -> Moments:
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        await store.publish(acme, 20)
    return Moments(path, webhook)


async def test_both_sign_until_the_overlap_ends_and_then_the_new_one_alone(moments: Moments) -> None:
    moments.rotate(SECOND, NOW, 24 * HOUR)
    assert moments.keys(NOW) == (SECOND, FIRST)
    assert moments.keys(NOW + 24 * HOUR - 1) == (SECOND, FIRST)
    assert moments.keys(NOW + 24 * HOUR) == (SECOND,)


async def test_without_an_overlap_the_old_one_is_gone_at_once_and_for_good(moments: Moments, path: Path) -> None:
    moments.rotate(SECOND, NOW, 24 * HOUR)
    moments.rotate(THIRD, NOW, 0)
    assert moments.keys(NOW) == (THIRD,)
    assert moments.keys(NOW - 48 * HOUR) == (THIRD,), "nor does a clock that is set back revive it"
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT key FROM secrets").fetchall() == [(THIRD,)]


async def test_rotating_twice_within_the_overlap_prolongs_nothing(moments: Moments) -> None:
    moments.rotate(SECOND, NOW, 2 * HOUR)
    moments.rotate(THIRD, NOW + HOUR, 24 * HOUR)
    assert moments.keys(NOW + HOUR) == (THIRD, SECOND, FIRST)
    assert moments.keys(NOW + 2 * HOUR) == (THIRD, SECOND)
    assert moments.keys(NOW + 25 * HOUR) == (THIRD,)


async def test_a_shorter_overlap_holds_for_all_before_it(moments: Moments) -> None:
    moments.rotate(SECOND, NOW, 168 * HOUR)
    moments.rotate(THIRD, NOW, HOUR)
    assert moments.keys(NOW + HOUR - 1) == (THIRD, SECOND, FIRST)
    assert moments.keys(NOW + HOUR) == (THIRD,)


@pytest.mark.parametrize("later", [0, -HOUR], ids=["same millisecond", "clock set back"])
async def test_the_last_one_that_was_asked_for_is_the_newest_whatever_the_clock_says(
    moments: Moments, later: int
) -> None:
    moments.rotate(SECOND, NOW, HOUR)
    moments.rotate(THIRD, NOW + later, HOUR)
    assert moments.keys(NOW + later) == (THIRD, SECOND, FIRST)


async def test_going_back_to_the_one_before_puts_it_first(moments: Moments) -> None:
    moments.rotate(SECOND, NOW, HOUR)
    moments.rotate(FIRST, NOW, HOUR)
    assert moments.keys(NOW) == (FIRST, SECOND)


async def test_what_is_refused_changes_nothing(moments: Moments) -> None:
    assert isinstance(moments.rotate(FIRST, NOW, 0), Conflict)
    for number in range(MOST_LIVE - 1):
        assert isinstance(moments.rotate(bytes([number]) * 32, NOW, HOUR), list)
    assert isinstance(moments.rotate(THIRD, NOW, HOUR), LimitReached)
    assert len(moments.keys(NOW)) == MOST_LIVE
    assert isinstance(moments.rotate(THIRD, NOW + HOUR, HOUR), list), "once the others have ended there is room"
    assert len(moments.keys(NOW + HOUR)) == 2


async def test_another_tenants_webhook_does_not_exist(store: Store) -> None:
    acme, beta = await store.tenant("acme"), await store.tenant("beta")
    webhook = await store.webhook(acme)
    with pytest.raises(NotFound):
        await store.actor.execute(RotateSecret(beta.seq, webhook.id, SECOND, HOUR), PATIENCE)


async def test_a_rotation_holds_for_the_next_claim_of_the_running_daemon(store: Store) -> None:
    acme = await store.tenant()
    webhook = await store.webhook(acme)
    await store.publish(acme, 2)

    async def keys() -> tuple[bytes, ...]:
        done = await store.actor.progress(Progress(acme.seq, [], [], [Claim(webhook.seq, 1)]))
        return done.endpoints[webhook.seq].secrets

    assert await keys() == (FIRST,)
    await store.actor.execute(RotateSecret(acme.seq, webhook.id, SECOND, HOUR), PATIENCE)
    assert await keys() == (SECOND, FIRST)


async def test_secrets_that_have_ended_are_deleted_by_and_by(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "SECONDS_BETWEEN_EXPIRIES", 0.01)
    async with running(path) as store:
        acme = await store.tenant()
        webhook = await store.webhook(acme)
        await store.actor.execute(RotateSecret(acme.seq, webhook.id, SECOND, HOUR), PATIENCE)
        await store.actor.execute(RotateSecret(acme.seq, webhook.id, THIRD, HOUR), PATIENCE)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)) as db:
            db.execute("UPDATE secrets SET expires = 1 WHERE key = ?", (SECOND,))
            with trio.fail_after(PATIENCE):
                while db.execute("SELECT count(*) FROM secrets").fetchone() != (2,):
                    await trio.lowlevel.checkpoint()
            assert db.execute("SELECT key FROM secrets ORDER BY created").fetchall() == [(FIRST,), (THIRD,)]


_steps = st.lists(
    st.tuples(st.integers(0, 9), st.integers(-2 * HOUR, 9 * HOUR), st.integers(0, 168)), min_size=1, max_size=30
)


@given(_steps)
def test_whatever_is_rotated_when_one_is_in_force_and_few_others_sign_no_longer_than_was_said(
    steps: list[tuple[int, int, int]],
) -> None:
    secrets, now = [SigningSecret(FIRST, NOW, None)], NOW
    for number, passed, hours in steps:
        now += passed
        try:
            after = rotated(secrets, bytes([number]) * 24, now, hours * HOUR)
        except (Conflict, LimitReached):
            continue
        newest, *older = after
        assert (newest.key, newest.expires) == (bytes([number]) * 24, None)
        assert all(old.expires is not None and now < old.expires <= now + hours * HOUR for old in older)
        assert [secret.created for secret in after] == sorted({secret.created for secret in after}, reverse=True)
        assert len({secret.key for secret in after}) == len(after) <= MOST_LIVE
        secrets = after
