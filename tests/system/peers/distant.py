"""A closing peer and a poster at the two ends of a link with delay, in network namespaces of their own.

Run as root: `python distant.py DELAY PEER-OPTIONS… -- COUNT KEYS PAUSE`, DELAY in seconds each way. Prints the two
reports as JSON; exits 77 where such a network may not be made. Packets go from one TUN device to the other through this
process, which holds them back: netem does the same, but is not in every kernel.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import struct
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

HERE = Path(__file__).parent
CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN_WITHOUT_HEADER = 0x1001
NOT_PERMITTED = 77
NEAR, FAR = "10.77.0.1", "10.77.0.2"


def new_end(address: str, other: str) -> int:
    """Moves this process into a new network whose only way out is the TUN device whose descriptor it returns."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"tun0", IFF_TUN_WITHOUT_HEADER))
    subprocess.run(["ip", "address", "add", address, "peer", other, "dev", "tun0"], check=True)
    subprocess.run(["ip", "link", "set", "tun0", "up"], check=True)
    return tun


def carry(one: int, other: int, delay: float, until: subprocess.Popen[str]) -> None:
    """Takes packets from each end to the other, `delay` seconds late, until the process ends."""
    onward = {one: other, other: one}
    held: deque[tuple[float, int, bytes]] = deque()
    poll = select.epoll()
    for tun in onward:
        poll.register(tun, select.EPOLLIN)
    while until.poll() is None:
        wait = min(0.1, max(0.0, held[0][0] - time.perf_counter())) if held else 0.1
        for tun, _ in poll.poll(wait):
            held.append((time.perf_counter() + delay, onward[tun], os.read(tun, 65536)))
        while held and held[0][0] <= time.perf_counter():
            os.write(*held.popleft()[1:])


def main() -> None:
    split = sys.argv.index("--")
    delay, options, amounts = float(sys.argv[1]), sys.argv[2:split], sys.argv[split + 1 :]
    try:
        far = new_end(FAR, NEAR)
        peer = subprocess.Popen(
            [sys.executable, HERE / "closing_peer.py", FAR, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        near = new_end(NEAR, FAR)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"a network of its own is not permitted here: {error}")
        sys.exit(NOT_PERMITTED)
    assert peer.stdout is not None
    port = peer.stdout.readline().strip()
    command = [sys.executable, HERE / "posting.py", f"http://{FAR}:{port}", *amounts]
    poster = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    carry(near, far, delay, poster)
    posted, ledger = poster.communicate()[0], peer.communicate()[0]
    print(json.dumps({"poster": json.loads(posted), "peer": json.loads(ledger)}))


if __name__ == "__main__":
    main()
