from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

CONNECT = """
import trio
from daemon.egress.connecting import connect
from daemon.egress.faults import EgressError

async def main():
    try:
        await connect([("::1", 9, 0, 0)])
    except EgressError as error:
        print(error.code)

trio.run(main)
"""
WITHOUT_IPV6 = 'ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 && exec "$0" -c "$1"'


def test_an_address_family_this_machine_does_not_have_is_an_outcome_and_not_put_off_for_ever() -> None:
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs unshare and ip, to make a network without IPv6")
    command = [
        "unshare",
        "--net",
        "--mount-proc",
        "--fork",
        "--pid",
        "sh",
        "-ec",
        WITHOUT_IPV6,
        sys.executable,
        CONNECT,
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if "unshare" in ended.stderr or "ermission" in ended.stderr:
        pytest.skip("may not make a network of its own here")
    assert ended.stdout == "connect_failed\n", ended.stderr
