"""Which `traceparent` is sent on, and as what (W3C Trace Context)."""

from __future__ import annotations

import pytest

from daemon.tracing import accepted, of_attempt

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (VALID, VALID),
        (f"00-{TRACE}-{PARENT}-00", f"00-{TRACE}-{PARENT}-00"),
        (f"00-{TRACE}-{PARENT}-03", f"00-{TRACE}-{PARENT}-03"),
        (f"00-{TRACE}-{PARENT}-ff", f"00-{TRACE}-{PARENT}-03"),
        (f"cc-{TRACE}-{PARENT}-01", VALID),
        (f"cc-{TRACE}-{PARENT}-01-what-the-future-brings", VALID),
    ],
)
def test_a_valid_one_is_kept_as_the_version_that_is_known(header: str, kept: str) -> None:
    assert accepted(header) == kept


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"cc-{TRACE}-{PARENT}-01.more",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-1",
        f"{VALID}, {VALID}",
        f"{VALID}\n",
        f" {VALID}",
    ],
)
def test_one_that_is_not_valid_is_ignored(header: str | None) -> None:
    assert accepted(header) is None


def test_an_attempt_has_the_trace_and_a_parent_of_its_own() -> None:
    sent = of_attempt(VALID, "dlv_0199f00000000123456789abcdef01234567")
    assert sent == f"00-{TRACE}-89abcdef01234567-01"
    assert accepted(sent) == sent
