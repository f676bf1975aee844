"""A publisher as a process of its own that keeps its own book, whatever becomes of the daemon.

Run: `python -m harness.publisher --book FILE --token TOKEN --seed N`. It is told on its standard input what to do:
`load URL` publishes and redelivers without pause until the connection breaks, `settle URL` asks again, under the same
keys, for what got no answer, and prints `settled` when every event has its 202; a line without a URL lets all rest.

The book, one line in one append each: `asked KEY…` before a batch leaves for the first time, `promised EVENT KEY
DELIVERIES` for each event of a 202, `redeliver OLD` before a redelivery is asked for, `redelivered OLD NEW` at its 202.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from typing import Any

import httpx
import trio

from harness.api import Api
from harness.events import session_event

LANES = 4
BATCH = 4
RECENT = 50
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND

Batch = list[dict[str, Any]]


class Book:
    def __init__(self, path: str) -> None:
        self._file = os.open(path, APPEND)

    def write(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, words)) + "\n").encode())


class Lane:
    """Publishes one batch after the other; a batch stays in hand until it has its 202."""

    def __init__(self, name: str, book: Book) -> None:
        self._name = name
        self._book = book
        self._batches = 0
        self._in_hand: Batch = []

    async def load(self, api: Api) -> None:
        while True:
            await self.settle(api)
            self._batches += 1
            keys = [f"{self._name}-{self._batches}-{n}" for n in range(BATCH)]
            self._in_hand = [session_event(key, key=key) for key in keys]
            self._book.write("asked", *keys)

    async def settle(self, api: Api) -> None:
        """Publish what is in hand. Raises httpx.TransportError, and then still has it in hand."""
        while self._in_hand:
            answer = await api.request("POST", "/v1/events", {"events": self._in_hand})
            if answer.status_code in (503, 403) or answer.json().get("type") == "/problems/tenant-inactive":
                continue  # a draining daemon: its end follows; or the tenant is inactive for a while
            assert answer.status_code == 202, answer.text
            for event, item in zip(self._in_hand, answer.json()["data"], strict=True):
                self._book.write("promised", item["id"], event["idempotencyKey"], item["deliveries"])
            self._in_hand = []


async def redeliver(api: Api, book: Book, choice: random.Random) -> None:
    """Ask for redeliveries of what has finished lately, one after the other. A request is never repeated."""
    while True:
        status = choice.choice(["succeeded", "failed", "interrupted"])
        page = await api.request("GET", "/v1/deliveries", status=status, limit=RECENT)
        found = page.json().get("data", [])
        for old in choice.sample(found, min(len(found), 3)):
            book.write("redeliver", old["id"])
            answer = await api.request("POST", f"/v1/deliveries/{old['id']}/redeliver")
            if answer.status_code == 202:
                book.write("redelivered", old["id"], answer.json()["id"])


async def follow(lanes: list[Lane], book: Book, token: str, choice: random.Random) -> None:
    """Do what each line says, until the next one says something else."""
    commands = trio.lowlevel.FdStream(os.dup(sys.stdin.fileno()))
    rest = b""
    turn = trio.Lock()
    async with trio.open_nursery() as nursery:
        doing = trio.CancelScope()
        async for chunk in commands:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                doing.cancel()
                doing = trio.CancelScope()
                what, _, url = line.decode().partition(" ")
                if url:
                    nursery.start_soon(carry_out, what, Api(url, token), lanes, book, choice, doing, turn)
        nursery.cancel_scope.cancel()


async def carry_out(
    what: str,
    api: Api,
    lanes: list[Lane],
    book: Book,
    choice: random.Random,
    scope: trio.CancelScope,
    turn: trio.Lock,
) -> None:
    """`turn`: a batch is in one request at a time, so that the book has each promise once."""
    with scope:
        async with turn:
            await work(what, api, lanes, book, choice)


async def work(what: str, api: Api, lanes: list[Lane], book: Book, choice: random.Random) -> None:
    try:
        async with trio.open_nursery() as nursery:
            for lane in lanes:
                nursery.start_soon(lane.load if what == "load" else lane.settle, api)
            if what == "load":
                nursery.start_soon(redeliver, api, book, choice)
    except* httpx.TransportError:
        print("broken", flush=True)
    else:
        print("settled", flush=True)
    finally:
        with trio.move_on_after(1, shield=True):
            await api.aclose()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--book", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    book = Book(arguments.book)
    lanes = [Lane(f"lane{number}", book) for number in range(LANES)]
    trio.run(follow, lanes, book, arguments.token, random.Random(arguments.seed))


if __name__ == "__main__":
    main()
