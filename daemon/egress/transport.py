"""The httpx transport that deliveries go through. In work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    import ssl

    from daemon.egress.policy import AddressPolicy
    from daemon.egress.resolver import Resolver
    from daemon.settings import DeliverySettings, EgressSettings


class EgressTransport(httpx.AsyncBaseTransport):
    """One POST, one attempt: resolves, checks, connects, sends, reads.

    `request.extensions["exchange"]` is the attempt's `Exchange`. The optional `request.extensions["head"]` (bytes) is
    the request line and constant headers with `Host`, each line ended by CRLF, encoded once per webhook (see
    `request_head`); `request.headers` are then only the attempt's own (`Host` among them is left out)."""

    def __init__(
        self,
        delivery: DeliverySettings,
        egress: EgressSettings,
        policy: AddressPolicy,
        *,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        raise NotImplementedError
