"""Tasks that carry out attempts, used again and again: a task for each attempt would cost a third of its budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import trio

if TYPE_CHECKING:
    from trio import TaskStatus

SPARE = 256
"""How many workers may wait for a job."""


class Job(Protocol):
    async def run(self) -> None: ...

    def cut(self) -> None:
        """End now, without a worker. Called of those that were adopted."""
        ...


class Pool:
    """Runs jobs side by side, each in a worker that then waits for another, and looks after those that need none.

    It sets no bound to the number of jobs: whoever submits one holds a slot for it."""

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        # Whoever is counted as idle takes one job: there is room for every job that is sent.
        self._jobs, self._queue = trio.open_memory_channel[Job](SPARE)
        self._nursery: trio.Nursery | None = None
        self._adopted: set[Job] = set()
        self._idle = 0
        self._working = 0
        self._ended = False

    @property
    def busy(self) -> int:
        """How many jobs are under way."""
        return self._working + len(self._adopted)

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `close`, then until the last job has ended. What a job raises comes out of here.

        Cancelled, or once the deadline of `end_by` has passed, every job is cancelled, or cut, where it stands."""
        try:
            with self._queue, self._scope:
                async with trio.open_nursery() as self._nursery:
                    task_status.started()
                    self._idle += 1
                    await self._work(None)
        finally:
            self._ended = True
            while self._adopted:
                self._adopted.pop().cut()

    def submit(self, job: Job) -> bool:
        """Begin a job in a worker; never blocks. False if there are none any more."""
        if self._ended or self._scope.cancel_called:
            return False
        assert self._nursery is not None, "only once `run` has started"
        self._working += 1
        if self._idle:
            self._idle -= 1
            self._jobs.send_nowait(job)
        else:
            self._nursery.start_soon(self._work, job)
        return True

    def adopt(self, job: Job) -> None:
        """A job under way without a worker: it is counted until it is released, and cut if it is not in time."""
        self._adopted.add(job)

    def release(self, job: Job) -> None:
        self._adopted.remove(job)

    def end_by(self, deadline: float) -> None:
        """Cancel what still runs at `deadline` (trio's clock); of several the earliest counts."""
        self._scope.deadline = min(deadline, self._scope.deadline)

    def close(self) -> None:
        """No job will be submitted any more."""
        self._jobs.close()

    async def _work(self, job: Job | None) -> None:
        while True:
            if job is not None:
                try:
                    await job.run()
                finally:
                    self._working -= 1
                if self._idle >= SPARE:
                    return
                self._idle += 1
                job = None  # or its payload stays in memory for as long as nothing else comes
            try:
                job = await self._queue.receive()
            except trio.EndOfChannel:
                return
