"""What schemathesis is taught: what a schema cannot say of a valid request, and a check of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.generation.meta import TestPhase

from daemon.static_headers import faults

if TYPE_CHECKING:
    from schemathesis import Case, CheckContext, HookContext, Response

RECEIVER = os.environ["RECEIVER"]
TENANT = os.environ["TENANT"]
# What some operations need is there, or in a state, that chance finds too seldom.
THERE_IS = {
    "getEvent": os.environ["EVENT"],
    "getDelivery": os.environ["FINISHED_DELIVERY"],
    "redeliver": os.environ["FINISHED_DELIVERY"],
    "removeTenant": os.environ["INACTIVE_TENANT"],
}
OURS = [TENANT, THERE_IS["removeTenant"]]
# Of every answer, whatever it is about: HTTP's own (RFC 9110 §6.6, §8).
OF_ALL = {"connection", "content-type", "content-length", "date", "cache-control", "x-content-type-options"}

# A daemon in a test may publish to a receiver of the test alone.
schemathesis.openapi.format("uri", st.from_regex(r"[a-z0-9/_-]{0,40}", fullmatch=True).map(f"{RECEIVER}/".__add__))


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    _leave_ours(case)
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    there_is = THERE_IS.get(case.operation.definition.raw["operationId"])
    if there_is and case.meta.phase.name != TestPhase.STATEFUL:  # there links lead to what was made
        case.path_parameters["id"] = there_is
    body = case.body if isinstance(case.body, dict) else {}
    for name, value in body.items():
        if isinstance(value, float) and value.is_integer():
            body[name] = int(value)  # JSON Schema takes 1.0 for an integer, we do not
    if body.get("expires") is not None:
        body["expires"] = "2999-12-31T23:59:59Z"  # a time to come
    if "since" in body:
        body.update(since="2025-10-21T08:00:00Z", until=None)  # a range
    if any(faults(body.get("headers") or {}, {})):
        body["headers"] = {}  # no reserved names, none twice, not too many bytes
    if body.get("maxConcurrent") is not None:
        body["maxConcurrent"] = min(body["maxConcurrent"], 16)  # a setting
    if case.headers and ("events" in body or body.get("idempotencyKey") is not None):
        case.headers.pop("Idempotency-Key", None)  # for one event that has none of its own
    if case.query:
        case.query.pop("cursor", None)  # those that there are come from answers


def _leave_ours(case: Case) -> None:
    """The tenant that everything is about, its token, and the one that is to be removed."""
    path = case.path_parameters or {}
    if case.operation.path.startswith("/v1/tenants/") and case.method != "GET" and path.get("id") in OURS:
        path["id"] = "nobody"
    if case.operation.path == "/v1/tenants" and isinstance(case.body, dict) and case.body.get("id") in OURS:
        case.body["id"] = "somebody"


@schemathesis.check
def undocumented_header(ctx: CheckContext, response: Response, case: Case) -> None:
    """An answer has the headers that the document names, and no others."""
    found = case.operation.responses.find_by_status_code(response.status_code)
    if found is None:
        return  # a status that is not in the document fails a check of its own
    extra = {name.lower() for name in response.headers} - {name.lower() for name, _ in found.headers.items()}
    extra -= OF_ALL
    assert not extra, f"{sorted(extra)} of {response.status_code} is not in the document"
