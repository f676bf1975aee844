"""What README and MIGRATION.md tell people to type does what they say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import trio
from harness.daemon_process import environment
from harness.documents import ROOT, commands
from harness.hostile import unused_port

if TYPE_CHECKING:
    from pathlib import Path

    from harness.daemon_process import Daemon
    from harness.starting import Daemons


async def typed(script: str, folder: Path, **variables: str) -> str:
    """Run by a shell that stops at the first command that fails. Returns all it printed."""
    with trio.fail_after(30):
        done = await trio.run_process(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=environment({"PYTHONUNBUFFERED": "1", **variables}),
            capture_stdout=True,
            stderr=subprocess.STDOUT,
            check=False,
        )
    printed = done.stdout.decode()
    assert done.returncode == 0, printed
    return printed


def checkout(daemon: Daemon) -> Path:
    """The daemon's folder, with what a clone has in it after `make run`."""
    folder = daemon.database.parent
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "config").symlink_to(ROOT / "config")
    return folder


async def test_the_quick_start_leads_from_nothing_to_a_verified_delivery(daemons: Daemons) -> None:
    first, *rest = commands("README.md", "Quick start")
    assert first.endswith("make run")
    daemon = await daemons.start()
    ours = {"127.0.0.1:8080": f"127.0.0.1:{daemon.bind[1]}", ":9000": f":{unused_port()}"}
    script = "\n".join(rest)
    for theirs, instead in ours.items():
        assert theirs in script
        script = script.replace(theirs, instead)
    printed = await typed(script, checkout(daemon), PORT=ours[":9000"].removeprefix(":"))
    assert "did the work of onboard.session.completed" in printed
    assert '"status":"succeeded"' in printed


async def test_webhooks_of_the_old_service_can_be_posted_as_it_lists_them(daemons: Daemons, tmp_path: Path) -> None:
    if shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    (script,) = commands("config/MIGRATION.md", "Move")
    daemon = await daemons.start()
    acme = await daemon.tenant()
    old = [
        {
            "id": f"wOld{number}",
            "url": f"https://yourapp.example/webhooks/{number}",
            "name": name,
            "events": ["onboard.session.completed"],
            "active": active,
            "created": "2025-10-21T10:00:00Z",
            "updated": "2025-10-21T10:00:00Z",
            "lastDelivered": None,
            "deliveryAttempts": 3,
        }
        for number, (name, active) in enumerate([("Pöst & “quotes”", True), (None, False)])
    ]
    (tmp_path / "old.json").write_text(json.dumps({"data": old}))
    await typed(script, tmp_path, API=daemon.base_url, TOKEN=acme.client.headers["authorization"].split()[1])
    listed = (await acme.ask("GET", "/v1/webhooks"))["data"]
    assert [[new[key] for key in ("url", "name", "active")] for new in reversed(listed)] == [
        [webhook[key] for key in ("url", "name", "active")] for webhook in old
    ]
    rows = [line.split("\t") for line in (tmp_path / "new.tsv").read_text().splitlines()]
    assert [row[0] for row in rows] == [new["id"] for new in reversed(listed)]
    assert all(row[2].startswith("whsec_") for row in rows)
