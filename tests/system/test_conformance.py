"""The daemon does what its document says: schemathesis reads the one and tries the other, links followed, over HTTP."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING

from conformance.schemathesis_run import schemathesis
from harness.events import session_event

from daemon.front_end.routes import ROUTES

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from harness.api import Api, Json
    from harness.receiver import Receiver
    from harness.starting import Daemons, Receivers

# `make fuzz` sets it: how many cases for each operation.
CASES = int(os.environ.get("FUZZ_CASES", "0"))
# The compatibility prefixes lead to the same routes: they are tried when there is time.
QUICK = ["--seed", "1", "--max-examples", "40", "--exclude-path-regex", "^/v1/(tenant|onboard)/"]
PAYMENT = {
    "type": "object",
    "properties": {"amount": {"type": "integer", "minimum": 1}, "currency": {"enum": ["EUR", "GBP"]}},
    "required": ["amount", "currency"],
    "additionalProperties": False,
}


async def test_every_answer_is_one_that_the_document_has(
    daemons: Daemons, receivers: Receivers, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = tmp_path / "payment.json"
    schema.write_text(json.dumps(PAYMENT))
    daemon = await daemons.start(
        {
            "limits": {"webhooks_per_tenant": 10_000, "deliveries_per_request": 100_000},
            'events."payment.completed"': {"subject": "Payment", "description": "Paid.", "schema": str(schema)},
        }
    )
    receiver = await receivers.start()
    tenant = "fuzzed"
    token = await daemon.operator().create_tenant(tenant)
    delivery = await finished_delivery(daemon.caller(token), receiver)
    environment = {
        **os.environ,
        "TENANT": tenant,
        "TENANT_TOKEN": token,
        "OPERATOR_TOKEN": daemon.operator_token,
        "RECEIVER": receiver.url,
        "EVENT": delivery["event"],
        "FINISHED_DELIVERY": delivery["id"],
        "INACTIVE_TENANT": await inactive_tenant(daemon.operator()),
    }
    options = ["--max-examples", str(CASES)] if CASES else QUICK
    run = await schemathesis(daemon.base_url, tmp_path, environment, options, within=3600 if CASES else 300)
    with capsys.disabled():
        print(f"\n{run.table}" if CASES else f"\nschemathesis: {run.cases} cases, ended with {run.code}")
    assert run.code == 0, run.said
    assert run.cases > 1000, run.said
    answered = Counter(
        (line["route"], line["method"]) for line in daemon.log.of("http.request") if line["status"] < 400
    )
    assert not [line for line in daemon.log.of("http.request") if line["status"] >= 500]
    missed = [route.name for route in ROUTES if not answered[route.path, route.method]]
    assert not missed, f"nothing that was tried of {missed} was accepted: give their fields better examples"
    daemon.terminate()
    assert await daemon.exit_code() == 0


async def finished_delivery(tenant: Api, receiver: Receiver) -> Json:
    """A delivery that has succeeded."""
    await tenant.register(receiver.url)
    (delivery,) = await tenant.finished(await tenant.publish(session_event("before")))
    return delivery


async def inactive_tenant(operator: Api) -> str:
    await operator.create_tenant("inactive")
    await operator.ask("PATCH", "/v1/tenants/inactive", {"active": False})
    return "inactive"
