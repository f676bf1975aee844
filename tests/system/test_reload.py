"""SIGHUP: what can change without a restart does; a configuration that cannot be used changes nothing."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from harness.configuration import configuration, toml
from harness.events import session_event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.api import Api
    from harness.configuration import Value
    from harness.daemon_process import Daemon
    from harness.starting import Daemons, Receivers

WITHIN = 10


async def reload(daemon: Daemon, changes: Mapping[str, Mapping[str, Value]]) -> dict[str, Any]:
    """Write the configuration with these changes and have it read; what the log says of that."""
    return await reload_text(daemon, toml(configuration(daemon.database, changes)), "daemon.reloaded")


async def reload_text(daemon: Daemon, text: str, event: str) -> dict[str, Any]:
    daemon.database.with_suffix(".toml").write_text(text)
    already = len(daemon.log.of(event))
    daemon.process.send_signal(signal.SIGHUP)
    return (await daemon.log.count(event, already + 1, within=WITHIN))[-1]


async def test_limits_hold_for_the_next_request(daemons: Daemons) -> None:
    daemon = await daemons.start()
    acme = await daemon.tenant()
    await acme.publish(*[session_event(f"s-{n}") for n in range(3)])
    said = await reload(daemon, {"limits": {"batch_events": 2, "webhooks_per_tenant": 1}})
    assert said["changed"] == ["limits.webhooks_per_tenant", "limits.batch_events"]
    batch = {"events": [session_event(f"s-{n}") for n in range(3)]}
    assert (await acme.request("POST", "/v1/events", batch)).status_code == 422
    await acme.register("https://example.com/1")
    refused = await acme.request("POST", "/v1/webhooks", {"url": "https://example.com/2"})
    assert refused.status_code == 409
    assert "1 are allowed" in refused.json()["detail"]


async def test_egress_holds_for_registration_and_for_the_next_attempt_over_no_kept_connection(
    daemons: Daemons, receivers: Receivers
) -> None:
    receiver = await receivers.start()
    daemon = await daemons.start({"delivery": {"keep_alive": 60}})
    acme = await daemon.tenant()
    await acme.register(receiver.url)
    assert await outcome(acme) == ("succeeded", None)
    await reload(daemon, {"delivery": {"keep_alive": 60}, "egress": {"allow": []}})
    assert await outcome(acme) == ("failed", "blocked_address")
    refused = await acme.request("POST", "/v1/webhooks", {"url": receiver.url})
    assert refused.json()["type"] == "/problems/blocked-address"
    await reload(daemon, {"delivery": {"keep_alive": 60}})
    assert await outcome(acme) == ("succeeded", None)
    await reload(daemon, {"delivery": {"keep_alive": 60}, "egress": {"allow": ["127.0.0.0/8"], "require_https": True}})
    refused = await acme.request("POST", "/v1/webhooks", {"url": receiver.url})
    assert refused.status_code == 422


async def outcome(acme: Api) -> tuple[str, str | None]:
    (delivery,) = await acme.finished(await acme.publish(session_event("s")))
    return delivery["status"], delivery["error"]


async def test_what_needs_a_restart_is_named_and_stays_as_it_was(daemons: Daemons) -> None:
    daemon = await daemons.start()
    changes = {"delivery": {"timeout": 6}, "server": {"max_connections": 7}, "limits": {"batch_events": 9}}
    said = await reload(daemon, changes)
    assert said["changed"] == ["limits.batch_events"]
    assert said["needs_restart"] == ["server.max_connections", "delivery.timeout"]


async def test_a_broken_file_changes_nothing_and_is_reported_and_a_mended_one_counts(daemons: Daemons) -> None:
    daemon = await daemons.start()
    acme = await daemon.tenant()
    good = toml(configuration(daemon.database, {"limits": {"batch_events": 2}}))
    for broken, why in (
        (good + "\n[nonsense", "TOML"),
        (good.replace("batch_events = 2", "batch_events = 0"), "limits.batch_events"),
        (good.replace("batch_events = 2", "batch_event = 2"), "limits.batch_event"),
    ):
        said = await reload_text(daemon, broken, "daemon.reload_refused")
        assert any(why in problem for problem in said["problems"]), said
    await acme.publish(*[session_event(f"s-{n}") for n in range(3)])
    assert (await reload_text(daemon, good, "daemon.reloaded"))["changed"] == ["limits.batch_events"]


async def test_a_daemon_that_is_stopping_does_not_mind(daemons: Daemons) -> None:
    daemon = await daemons.start()
    for sent in (signal.SIGHUP, signal.SIGTERM, signal.SIGHUP):
        daemon.process.send_signal(sent)
    assert await daemon.exit_code() == 0
