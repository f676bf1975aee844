"""One batch of commands, one transaction: which order they run in, and what happens when one of them fails."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from daemon.persistence import (
    administration,
    recovery_ends,
    recovery_start,
    recovery_steps,
    signing_secrets,
    webhooks,
)
from daemon.persistence.commands import (
    CancelRecovery,
    Command,
    CreateTenant,
    CreateToken,
    CreateWebhook,
    DeleteWebhook,
    FanOut,
    ForgetRecoveries,
    Ping,
    Progress,
    Publish,
    RecoveryStep,
    Redeliver,
    RemoveTenant,
    RevokeToken,
    RotateSecret,
    StartRecovery,
    UpdateTenant,
    UpdateWebhook,
)
from daemon.persistence.effects import Effects
from daemon.persistence.fan_out import fan_out
from daemon.persistence.progress import progress
from daemon.persistence.publishing import publish
from daemon.refusals import OutcomeUnknown, Refusal, StorageUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from daemon.persistence.backlog import Backlog
    from daemon.persistence.clock_steps import ClockSteps
    from daemon.settings import Limits

# Codes that say the storage cannot do it now; anything else a command provokes is a bug in that command.
_STORAGE_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PERM,
    }
)
_DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_ADMINISTRATION: dict[type[Command[Any]], Callable[[sqlite3.Connection, Any, int, Effects], object]] = {
    CreateTenant: administration.create_tenant,
    UpdateTenant: administration.update_tenant,
    RemoveTenant: administration.remove_tenant,
    CreateToken: administration.create_token,
    RevokeToken: administration.revoke_token,
    StartRecovery: recovery_start.start,
    CancelRecovery: recovery_ends.cancel,
    ForgetRecoveries: recovery_ends.forget,
}
_WEBHOOKS: dict[type[Command[Any]], Callable[[sqlite3.Connection, Any, int, Effects, Limits], object]] = {
    CreateWebhook: webhooks.create_webhook,
    UpdateWebhook: webhooks.update_webhook,
    DeleteWebhook: webhooks.delete_webhook,
    RotateSecret: signing_secrets.rotate,
    Redeliver: webhooks.redeliver,
    Ping: webhooks.ping,
    RecoveryStep: recovery_steps.step,
}


class StorageFailed(Exception):
    """The storage could not do it. `unknown`: the failure came so late that the work may be on disk all the same.
    `damaged`: waiting does not cure it."""

    def __init__(self, why: str, *, unknown: bool = False, damaged: bool = False) -> None:
        super().__init__(why)
        self.unknown = unknown
        self.damaged = damaged

    @classmethod
    def by(cls, error: sqlite3.Error, *, unknown: bool = False) -> StorageFailed:
        """The failure that a storage fault is."""
        why = f"{error} ({error.sqlite_errorname})"
        if error.sqlite_errorcode & 0xFF not in _DAMAGE_CODES:
            return cls(why, unknown=unknown)
        return cls(f"{why}: stop the daemon and put a backup in its place", unknown=unknown, damaged=True)

    def refusal(self) -> Refusal:
        """What those are told who had asked for the work."""
        if self.unknown:
            return OutcomeUnknown(
                f"The disk failed while this was being stored: {self}. It may or may not have been stored."
            )
        return StorageUnavailable(f"The storage is failing: {self}. Nothing was stored; send this again later.")


class Executed(Struct, frozen=True):
    """The answers, in the order of the commands (a `Refusal` stands for itself), and what to do after the commit."""

    answers: list[Any]
    effects: Effects


def execute(
    db: sqlite3.Connection,
    commands: Sequence[Command[Any]],
    now: int,
    limits: Limits,
    backlog: Backlog,
    steps: ClockSteps,
) -> Executed:
    """Run the commands and commit: administration, publishing, then outcomes and claims, which get what was published.

    Raises `StorageFailed` (rolled back), or whatever a bug in a command raises (rolled back too)."""
    effects = Effects(backlog)
    committing = False
    try:
        db.execute("BEGIN IMMEDIATE")
        steps.note(db, now)
        answers = _run(db, commands, now, limits, effects)
        committing = True
        db.execute("COMMIT")
    except BaseException as error:
        _roll_back(db)
        if isinstance(error, sqlite3.Error) and is_storage_fault(error):
            raise StorageFailed.by(error, unknown=committing and _may_be_on_disk(error)) from error
        raise
    steps.committed(now)
    return Executed(answers, effects)


def is_storage_fault(error: sqlite3.Error) -> bool:
    """Whether the file or its disk is at fault, rather than a statement of ours."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _STORAGE_CODES


def _may_be_on_disk(error: sqlite3.Error) -> bool:
    """Whether a crash now might find the transaction whose COMMIT has failed so: in the WAL whole, for all that its
    fsync or the WAL's index, which grows after that, has failed. The next commit that succeeds overwrites it.

    A write that failed (a full disk, a quota, a limit) has left the transaction's last page out."""
    code = error.sqlite_errorcode
    return code & 0xFF == sqlite3.SQLITE_IOERR and code != sqlite3.SQLITE_IOERR_WRITE


def _run(
    db: sqlite3.Connection, commands: Sequence[Command[Any]], now: int, limits: Limits, effects: Effects
) -> list[object]:
    answers: list[object] = [None] * len(commands)
    publishes: list[tuple[int, Publish]] = []
    steps: list[tuple[int, Progress]] = []
    for index, command in enumerate(commands):
        if isinstance(command, Publish):
            publishes.append((index, command))
        elif isinstance(command, Progress):
            steps.append((index, command))
        else:
            answers[index] = _one(db, command, now, limits, effects)
    if publishes:
        stored = publish(db, [command for _, command in publishes], now, limits, effects)
        for (index, _), answer in zip(publishes, stored, strict=True):
            answers[index] = answer
    if steps:
        done = progress(db, [command for _, command in steps], now, effects)
        for (index, _), answer in zip(steps, done, strict=True):
            answers[index] = answer
    return answers


def _one(db: sqlite3.Connection, command: Command[Any], now: int, limits: Limits, effects: Effects) -> object:
    kind = type(command)
    if isinstance(command, FanOut):
        return fan_out(db, command.seq, now, effects)
    try:
        if kind in _ADMINISTRATION:
            return _ADMINISTRATION[kind](db, command, now, effects)
        return _WEBHOOKS[kind](db, command, now, effects, limits)
    except Refusal as refusal:
        return refusal


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        try:
            db.execute("ROLLBACK")
        except sqlite3.Error:
            # SQLite has rolled back by itself (full disk, I/O error): nothing is left to undo.
            return
