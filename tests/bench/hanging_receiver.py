"""A receiver that accepts every connection, takes what comes, and never answers. Prints its port.

Run: `python hanging_receiver.py`. The end of its standard input is its end.
"""

from __future__ import annotations

import asyncio
import sys


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
