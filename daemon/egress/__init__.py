"""The way out: one request to an address that was checked. Knows nothing of webhooks, deliveries or their records."""

from __future__ import annotations

from daemon.egress.exchange import Exchange
from daemon.egress.faults import EgressError, LocalFault
from daemon.egress.guard import refuse_literal
from daemon.egress.policy import AddressPolicy
from daemon.egress.request import request_head
from daemon.egress.resolver import Resolver
from daemon.egress.transport import EgressTransport
from daemon.egress.url import ParsedTarget, UrlError, check_url

__all__ = [
    "AddressPolicy",
    "EgressError",
    "EgressTransport",
    "Exchange",
    "LocalFault",
    "ParsedTarget",
    "Resolver",
    "UrlError",
    "check_url",
    "refuse_literal",
    "request_head",
]
