"""A receiver in a process of its own that closes idle connections at random moments around their next use.

Run: `python closing_peer.py ADDRESS [--rude] [--least SECONDS] [--most SECONDS]`. Prints its port; when standard input
ends, what arrived as JSON. Each answer is followed by a moment, drawn between the two, at which the connection is
closed if it is still idle then: as far as a look at the socket tells, or, `--rude`, as far as this process has noticed.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import select
import socket
import sys
import time
from collections import Counter

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Peer:
    """`arrived` counts the requests by their target; `closed` the connections closed while idle."""

    def __init__(self, listening: socket.socket, idle: tuple[float, float], *, polite: bool) -> None:
        self.arrived = Counter[str]()
        self.closed = 0
        self._listening = listening
        self._idle = idle
        self._polite = polite
        self._chance = random.Random(7)
        self._open: dict[int, socket.socket] = {}
        self._uses: dict[int, int] = {}
        self._moments: list[tuple[float, int, int]] = []
        self._serial = 0
        self._epoll = select.epoll()

    def serve(self) -> None:
        """Until standard input ends."""
        self._epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        self._epoll.register(self._listening.fileno(), select.EPOLLIN)
        while True:
            wait = max(0.0, self._moments[0][0] - time.perf_counter()) if self._moments else 1.0
            for descriptor, _ in self._epoll.poll(wait):
                if descriptor == sys.stdin.fileno():
                    return
                if descriptor == self._listening.fileno():
                    self._accept()
                else:
                    self._answer(descriptor)
            while self._moments and self._moments[0][0] <= time.perf_counter():
                self._close_if_idle(*heapq.heappop(self._moments)[1:])

    def _accept(self) -> None:
        accepted, _ = self._listening.accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open[accepted.fileno()] = accepted
        self._epoll.register(accepted.fileno(), select.EPOLLIN)

    def _answer(self, descriptor: int) -> None:
        connection = self._open[descriptor]
        self._serial += 1
        self._uses[descriptor] = self._serial
        try:
            data = connection.recv(65536)
            if data:
                self.arrived[data.split(b" ", 2)[1].decode()] += 1
                connection.sendall(OK)
        except ConnectionError:
            data = b""
        if not data:
            self._close(descriptor)
            return
        moment = time.perf_counter() + self._chance.uniform(*self._idle)
        heapq.heappush(self._moments, (moment, descriptor, self._serial))

    def _close_if_idle(self, descriptor: int, use: int) -> None:
        if self._uses.get(descriptor) != use:
            return
        if self._polite and select.select([descriptor], [], [], 0)[0]:
            return
        self.closed += 1
        self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        self._epoll.unregister(descriptor)
        del self._uses[descriptor]
        self._open.pop(descriptor).close()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("address")
    arguments.add_argument("--rude", action="store_true")
    arguments.add_argument("--least", type=float, default=0)
    arguments.add_argument("--most", type=float, default=0.05)
    wanted = arguments.parse_args()
    with socket.create_server((wanted.address, 0), backlog=1024) as listening:
        print(listening.getsockname()[1], flush=True)
        peer = Peer(listening, (wanted.least, wanted.most), polite=not wanted.rude)
        peer.serve()
        twice = sorted(target for target, times in peer.arrived.items() if times > 1)
        print(json.dumps({"arrived": sorted(peer.arrived), "twice": twice, "closed": peer.closed}), flush=True)


if __name__ == "__main__":
    main()
