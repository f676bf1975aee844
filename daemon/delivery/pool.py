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


class Pool:
    """Runs jobs side by side, each in a worker that then waits for another.

    It sets no bound to the number of jobs: whoever submits one holds a slot for it."""

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        # Whoever is counted as idle takes one job: there is room for every job that is sent.
        self._jobs, self._queue = trio.open_memory_channel[Job](SPARE)
        self._nursery: trio.Nursery | None = None
        self._idle = 0
        self.busy = 0

    async def run(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `close`, then until the last job has ended. What a job raises comes out of here.

        Cancelled, or once the deadline of `end_by` has passed, every job is cancelled where it stands."""
        with self._queue, self._scope:
            async with trio.open_nursery() as self._nursery:
                task_status.started()
                self._idle += 1
                await self._work(None)

    def submit(self, job: Job) -> None:
        """Begin a job; never blocks. Only between the start of `run` and `close`."""
        assert self._nursery is not None
        self.busy += 1
        if self._idle:
            self._idle -= 1
            self._jobs.send_nowait(job)
        else:
            self._nursery.start_soon(self._work, job)

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
                    self.busy -= 1
                if self._idle >= SPARE:
                    return
                self._idle += 1
            try:
                job = await self._queue.receive()
            except trio.EndOfChannel:
                return
