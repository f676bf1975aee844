"""Where the daemon is, who asks, and what is sent of what was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from daemon.cli.child import bound, undisturbed
from daemon.cli.client import Api, UrlProblem, parse_url
from daemon.cli.identifiers import path
from daemon.cli.listen import find_secret
from daemon.cli.options import find_token, given, list_query

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT = {"TENANT_WEBHOOKS_TOKEN": "tw_environment"}


def test_the_command_line_goes_before_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("tw_file\nsomething else\n")
    assert find_token(None, None, ENVIRONMENT) == "tw_environment"
    assert find_token("tw_typed", None, ENVIRONMENT) == "tw_typed"
    assert find_token(None, file, ENVIRONMENT) == "tw_file"


def test_a_token_that_cannot_be_one_is_refused_and_not_repeated(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for token, file, environment in [
        (None, None, {}),
        ("", None, ENVIRONMENT),
        ("tw_a\r\nX-Injected: 1", None, {}),
        ("tw_ß", None, {}),
        ("tw_typed", tmp_path, {}),
        (None, tmp_path / "missing", {}),
        (None, tmp_path, {}),
        (None, binary, {}),
    ]:
        with pytest.raises(click.UsageError) as refused:
            find_token(token, file, environment)
        assert not token or token not in refused.value.message


def test_a_signing_secret_is_found_in_the_same_order(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(" whsec_file \n")
    environment = {"TENANT_WEBHOOKS_SECRET": "whsec_environment"}
    assert find_secret(None, None, {}) is None
    assert find_secret(None, None, environment) == "whsec_environment"
    assert find_secret("whsec_typed", None, environment) == "whsec_typed"
    assert find_secret(None, file, environment) == "whsec_file"
    with pytest.raises(click.UsageError):
        find_secret("whsec_typed", file, {})


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8080",
        "ftp://host",
        "http://",
        "http://user:hunter2@host",
        "http://host?query",
        "http://host#fragment",
        "http://[::1",
        "http://host:99999",
        "unix:relative",
    ],
)
def test_an_address_that_cannot_be_the_daemons_is_refused(url: str) -> None:
    with pytest.raises(UrlProblem) as refused:
        parse_url(url)
    assert "hunter2" not in str(refused.value)


def test_an_address_may_have_a_path_or_be_a_socket() -> None:
    assert parse_url("https://example.com/hooks/") == ("https://example.com/hooks/", None)
    assert parse_url("unix:/run/api.sock") == ("http://localhost", "/run/api.sock")


def test_a_client_does_not_show_its_token() -> None:
    with Api("http://127.0.0.1:1", "tw_secret") as api:
        assert "tw_secret" not in repr(api)


@given_any(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_an_id_is_one_step_of_a_path(id: str) -> None:
    assert path("tenants", id).count("/") == 3
    assert "?" not in path("tenants", id)
    assert "#" not in path("tenants", id)


def test_only_what_was_said_is_sent() -> None:
    assert given(name=None, events=(), active=False, url="u") == {"active": False, "url": "u"}
    assert list_query(None, None, False) == {}
    assert list_query(None, None, True, status="failed") == {"limit": "200", "status": "failed"}
    assert list_query(7, "c", True) == {"limit": "7", "cursor": "c"}


def test_the_ready_line_gives_the_addresses_and_no_other_line_does() -> None:
    ready = b'{"timestamp":"2026-01-01T00:00:00.000Z","level":"info","event":"daemon.ready","bind":["127.0.0.1:4711"]}'
    assert bound(ready) == ["127.0.0.1:4711"]
    assert bound(b'{"event":"http.request","route":"daemon.ready","bind":["6.6.6.6:1"]}') == []
    assert bound(b"daemon.ready without JSON") == []
    assert bound(b'{"event":"daemon.ready"}') == []


def test_the_demonstrations_daemon_knows_nothing_of_a_real_one() -> None:
    inherited = {
        "PATH": "/bin",
        "TENANT_WEBHOOKS_STORAGE__PATH": "/var/lib/real.db",
        "LISTEN_FDS": "1",
        "NOTIFY_SOCKET": "/run/notify",
    }
    assert undisturbed(inherited) == {"PATH": "/bin"}
