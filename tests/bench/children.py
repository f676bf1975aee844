"""Jobs handed to processes of their own, and what they report."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec
import trio

from tests.bench import bare_loop, load_client
from tests.bench.processes import pin

if TYPE_CHECKING:
    from msgspec import Struct

T = TypeVar("T")

_WITHIN = 900.0


async def attempt(job: load_client.Job, cores: list[int]) -> load_client.Report:
    """A load of which some may be refused, or lost with its connection: the answers say so."""
    return await _report(load_client.__file__, job, load_client.Report, cores)


async def load(job: load_client.Job, cores: list[int]) -> load_client.Report:
    """Raises RuntimeError when an answer was not a success."""
    report = await attempt(job, cores)
    bad = [answer for answer in report.answers if not answer.good]
    if bad:
        raise RuntimeError(f"{len(bad)} of {len(report.answers)} requests failed: {bad[0].status} {bad[0].body[:500]}")
    return report


async def bare(job: bare_loop.Job, cores: list[int]) -> bare_loop.Report:
    return await _report(bare_loop.__file__, job, bare_loop.Report, cores)


async def _report(script: str, job: Struct, kind: type[T], cores: list[int]) -> T:
    with trio.fail_after(_WITHIN):
        async with trio.open_nursery() as nursery:
            run = partial(trio.run_process, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            process: trio.Process = await nursery.start(run, [sys.executable, script])
            pin(process.pid, cores)
            assert process.stdout is not None
            assert process.stdin is not None
            async with process.stdin:
                await process.stdin.send_all(msgspec.json.encode(job))
            output = b"".join([chunk async for chunk in process.stdout])
    return msgspec.json.decode(output, type=kind)
