"""Posts through the transport, in a process of its own, with random pauses; tells what came of it.

Run: `python posting.py URL COUNT KEYS PAUSE`: COUNT deliveries to URL/0, URL/1 … for as many webhooks as KEYS, one at
a time each, with a pause of 0 to PAUSE seconds after each. Prints a report as JSON.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter
from ipaddress import ip_network

import trio
from sending import send

from daemon.egress import AddressPolicy, EgressError, EgressTransport, Exchange
from daemon.settings import DeliverySettings, EgressSettings

NEAR = AddressPolicy([ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")])


async def post(url: str, count: int, keys: int, pause: float) -> dict[str, object]:
    """`reused`: deliveries over a kept connection; `failures` of those, `others` of the rest, by error code."""
    numbers = iter(range(count))
    delivered: list[int] = []
    reused = 0
    failures, others = Counter[str](), Counter[str]()

    async def webhook(key: int) -> None:
        nonlocal reused
        chance = random.Random(key)
        for number in numbers:
            exchange = Exchange(key=key, tenant="acme", deadline=trio.current_time() + 15)
            try:
                await send(transport, f"{url}/{number}", b"{}", exchange)
            except EgressError as error:
                (failures if exchange.reused else others)[error.code] += 1
            else:
                delivered.append(number)
            reused += exchange.reused
            await trio.sleep(chance.uniform(0, pause))

    async with EgressTransport(DeliverySettings(), EgressSettings(), NEAR) as transport, trio.open_nursery() as running:
        await running.start(transport.run)
        async with trio.open_nursery() as nursery:
            for key in range(keys):
                nursery.start_soon(webhook, key)
        running.cancel_scope.cancel()
    return {"delivered": sorted(delivered), "reused": reused, "failures": failures, "others": others}


if __name__ == "__main__":
    report = trio.run(post, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
    print(json.dumps(report))
