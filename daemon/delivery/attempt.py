"""One attempt to bring one delivery to its webhook: sign, call the transport, turn what happens into an `Outcome`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from daemon.egress.faults import EgressError, LocalFault
from daemon.identifiers import now_ms
from daemon.model import Outcome, Timings
from daemon.operations.logs import get_logger

if TYPE_CHECKING:
    import httpx

    from daemon.delivery.target import Target
    from daemon.egress.exchange import Exchange
    from daemon.model import Claimed, ErrorCode, FinalStatus, Millis

_log = get_logger()


class Postponed(Struct, frozen=True):
    """It was not an attempt: not one byte was written and the cause is ours. `detail` is for the operator."""

    detail: str


async def attempt(
    claimed: Claimed, target: Target, exchange: Exchange, transport: httpx.AsyncBaseTransport, started: Millis
) -> Outcome | Postponed:
    """Make the one attempt; `exchange` must be new. The deadline is the transport's to keep.

    Raises nothing that a receiver, the network or a bug of ours on the way may cause: a bug is the outcome `internal`,
    its traceback goes to the log. Cancelled, it records nothing; `cut_short` then says what became of the delivery."""
    if target.fault is not None:
        return _ended("failed", exchange, started, target.fault.code, target.fault.detail)
    try:
        request = target.request(claimed.event, claimed.payload.encode(), started // 1000, exchange)
        response = await transport.handle_async_request(request)
        return _answered(response, exchange, started)
    except EgressError as error:
        return _ended("failed", exchange, started, error.code, error.detail)
    except LocalFault as fault:
        if not exchange.wrote:
            return Postponed(fault.detail)
        return _bug(fault, claimed, target, exchange, started)
    except Exception as error:
        return _bug(error, claimed, target, exchange, started)


def cut_short(exchange: Exchange, started: Millis) -> Outcome | Postponed:
    """What a cancelled attempt was: none if nothing was written, what the status line said if that was read, else
    nobody knows whether it arrived."""
    if not exchange.wrote:
        return Postponed("the daemon is shutting down")
    if exchange.status:
        return _decided(exchange.status, exchange, started)
    return _ended("interrupted", exchange, started)


def _answered(response: httpx.Response, exchange: Exchange, started: Millis) -> Outcome:
    headers, body = _headers(response.headers.raw), response.content.decode("utf-8", "replace")
    return _decided(response.status_code, exchange, started, headers, body, truncated=exchange.truncated)


def _decided(
    status: int,
    exchange: Exchange,
    started: Millis,
    headers: dict[str, str] | None = None,
    body: str = "",
    *,
    truncated: bool = True,
) -> Outcome:
    """What a final head makes of an attempt, whatever became of the body (CONTRACT §4)."""
    good = 200 <= status <= 299
    return Outcome(
        "succeeded" if good else "failed",
        started,
        max(started, now_ms()),
        status,
        None if good else "http_status",
        None if good else _explained(status),
        _timings(exchange),
        exchange.remote_address,
        exchange.reused,
        headers,
        body,
        truncated,
    )


def _ended(
    status: FinalStatus,
    exchange: Exchange,
    started: Millis,
    error: ErrorCode | None = None,
    detail: str | None = None,
) -> Outcome:
    return Outcome(
        status,
        started,
        max(started, now_ms()),
        None,
        error,
        detail,
        _timings(exchange),
        exchange.remote_address,
        exchange.reused,
    )


def _bug(error: Exception, claimed: Claimed, target: Target, exchange: Exchange, started: Millis) -> Outcome:
    _log.error(
        "delivery.bug",
        tenant=target.endpoint.tenant,
        webhook=target.endpoint.id,
        delivery=claimed.id,
        event_id=claimed.event,
        exc_info=error,
    )
    detail = "An error inside Tenant Webhooks ended the attempt; its log has the details."
    return _ended("failed", exchange, started, "internal", detail)


def _timings(exchange: Exchange) -> Timings:
    return Timings(exchange.dns, exchange.connect, exchange.tls, exchange.first_byte, exchange.total)


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "replace")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _explained(status: int) -> str:
    if 300 <= status <= 399:
        return f"The receiver answered {status}; redirects are not followed, only 200 to 299 is a success."
    return f"The receiver answered {status}; only 200 to 299 is a success."
