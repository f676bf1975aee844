"""What `load` accepts, what it refuses, and how well it says why."""

from __future__ import annotations

import contextlib
from ipaddress import ip_network
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.settings import Settings, SettingsError, TcpBind, TenantEgress, UnixBind, describe, load

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, text: str) -> str:
    file = folder / "house.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def refusal(path: str | None = None, /, **environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, {f"TENANT_WEBHOOKS_{name}": value for name, value in environ.items()})
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_without_a_file_and_variables_all_are_the_defaults() -> None:
    assert load(None, {}) == Settings()
    assert load(None, {"PATH": "/bin", "LISTEN_FDS": "1"}) == Settings()


def test_a_file_and_the_same_in_variables_give_equal_settings(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        [server]
        bind = ["[::1]:0", "unix:/run/house.sock"]
        [storage]
        path = "/var/lib/house.db"
        [delivery]
        timeout = 30
        connect_timeout = 2.5
        max_concurrent = 10
        max_concurrent_per_tenant = 5
        max_concurrent_per_webhook = 5
        [egress]
        require_https = true
        allow = ["10.0.0.0/8", "::1"]
        [egress.tenants.acme]
        allow = ["192.168.7.0/24"]
        [logging]
        level = "debug"
        """,
    )
    environ = {
        "TENANT_WEBHOOKS_SERVER__BIND": "[::1]:0, unix:/run/house.sock",
        "TENANT_WEBHOOKS_STORAGE__PATH": "/var/lib/house.db",
        "TENANT_WEBHOOKS_DELIVERY__TIMEOUT": "30",
        "TENANT_WEBHOOKS_DELIVERY__CONNECT_TIMEOUT": "2.5",
        "TENANT_WEBHOOKS_DELIVERY__MAX_CONCURRENT": "10",
        "TENANT_WEBHOOKS_DELIVERY__MAX_CONCURRENT_PER_TENANT": "5",
        "TENANT_WEBHOOKS_DELIVERY__MAX_CONCURRENT_PER_WEBHOOK": "5",
        "TENANT_WEBHOOKS_EGRESS__REQUIRE_HTTPS": "true",
        "TENANT_WEBHOOKS_EGRESS__ALLOW": '["10.0.0.0/8", "::1"]',
        "TENANT_WEBHOOKS_EGRESS__TENANTS": '{"acme": {"allow": ["192.168.7.0/24"]}}',
        "TENANT_WEBHOOKS_LOGGING__LEVEL": "debug",
    }
    settings = load(path, {})
    assert settings == load(None, environ)
    assert settings.server.bind == (TcpBind("::1", 0), UnixBind("/run/house.sock"))
    assert settings.egress.allow == (ip_network("10.0.0.0/8"), ip_network("::1/128"))
    assert settings.egress.tenants == {"acme": TenantEgress(allow=(ip_network("192.168.7.0/24"),))}
    assert isinstance(settings.delivery.timeout, float)


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[delivery]\ntimeout = 30\nkeep_alive = 2")
    settings = load(path, {"TENANT_WEBHOOKS_DELIVERY__TIMEOUT": "7"})
    assert (settings.delivery.timeout, settings.delivery.keep_alive) == (7, 2)


def test_an_empty_variable_empties_a_list(tmp_path: Path) -> None:
    path = write(tmp_path, '[egress]\nallow = ["127.0.0.0/8"]')
    assert load(path, {"TENANT_WEBHOOKS_EGRESS__ALLOW": ""}).egress.allow == ()


def test_variables_of_the_command_line_and_of_kubernetes_are_none_of_ours() -> None:
    of_the_client = ("URL", "TOKEN", "CONFIG", "SECRET")
    of_kubernetes = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP_ADDR")
    assert load(None, {f"TENANT_WEBHOOKS_{name}": "x" for name in of_the_client + of_kubernetes}) == Settings()


def test_every_problem_is_told_at_once_with_key_value_source_and_what_to_write(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        timeout = 3
        [deliver]
        x = 1
        [delivery]
        timout = 3
        keep_alive = "soon"
        max_concurrent = 1.5
        [server]
        bind = "127.0.0.1:8080"
        [egress]
        allow = ["10.0.0.1/8"]
        [logging]
        level = "loud"
        """,
    )
    assert sorted(refusal(path, DELIVERY__DRAIN_TIMEOUT="-1")) == sorted(
        [
            f"timeout ({path}): stands outside any section; did you mean delivery.timeout?",
            f"[deliver] ({path}): there is no such section; did you mean delivery?",
            f"delivery.timout ({path}): there is no such key; did you mean delivery.timeout?",
            f'delivery.keep_alive = "soon" ({path}): write a number of seconds from 0 to 3600',
            f"delivery.max_concurrent = 1.5 ({path}): write a whole number from 1 to 100000",
            'delivery.drain_timeout = "-1" (variable TENANT_WEBHOOKS_DELIVERY__DRAIN_TIMEOUT): '
            "write a number of seconds from 0 to 3600",
            f'server.bind = "127.0.0.1:8080" ({path}): write a list of texts, such as ["…", "…"]',
            f'egress.allow = ["10.0.0.1/8"] ({path}): "10.0.0.1/8": bits are set after the prefix; '
            "for the whole network write 10.0.0.0/8",
            f'logging.level = "loud" ({path}): write one of "debug", "info", "warning", "error"',
        ]
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DELIVERY_TIMEOUT", "TENANT_WEBHOOKS_DELIVERY__TIMEOUT"),
        ("EGRES__ALLOW", "TENANT_WEBHOOKS_EGRESS__ALLOW"),
        ("TOKENN", "TENANT_WEBHOOKS_TOKEN"),
        ("DELIVERY__RESPONSE_BYTES", "TENANT_WEBHOOKS_DELIVERY__RESPONSE_BODY_BYTES"),
    ],
)
def test_a_mistyped_variable_is_refused_with_the_likely_name_and_without_its_value(name: str, meant: str) -> None:
    (problem,) = refusal(**{name: "s3cret"})
    assert problem == f"variable TENANT_WEBHOOKS_{name}: there is no such setting; did you mean {meant}?"


def test_a_key_in_the_wrong_section_is_pointed_to_its_own(tmp_path: Path) -> None:
    (problem,) = refusal(write(tmp_path, "[logging]\nmin_free_bytes = 1"))
    assert problem.endswith("did you mean storage.min_free_bytes?")


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        (
            {"DELIVERY__TIMEOUT": "3"},
            "delivery.connect_timeout = 5.0 (default) is larger than "
            "delivery.timeout = 3.0 (variable TENANT_WEBHOOKS_DELIVERY__TIMEOUT): lower the first or raise the second",
        ),
        ({"DELIVERY__MAX_CONCURRENT_PER_WEBHOOK": "65"}, "delivery.max_concurrent_per_webhook = 65 "),
        ({"DELIVERY__MAX_CONCURRENT": "63"}, "delivery.max_concurrent_per_tenant = 64 (default) is larger than"),
        ({"LIMITS__EVENT_BYTES": "4194305"}, "limits.event_bytes = 4194305 "),
        ({"LIMITS__WEBHOOKS_PER_TENANT": "10001"}, "limits.webhooks_per_tenant = 10001 "),
        ({"LIMITS__WAITING_PER_TENANT": "9999"}, "limits.deliveries_per_request = 10000 (default) is larger than"),
        ({"STORAGE__PATH": ":memory:"}, 'storage.path = ":memory:" (variable TENANT_WEBHOOKS_STORAGE__PATH): name a'),
        ({"SERVER__OBSERVE_BIND": "127.0.0.1:8080"}, "server.observe_bind: 127.0.0.1:8080 stands in server.bind"),
        ({"SERVER__ADMIN_BIND": "unix:/a,unix:/a"}, "server.admin_bind: unix:/a stands in server.admin_bind already"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(environ: dict[str, str], problem: str) -> None:
    (told,) = refusal(**environ)
    assert told.startswith(problem)


def test_port_zero_may_stand_more_than_once() -> None:
    load(
        None,
        {
            "TENANT_WEBHOOKS_SERVER__BIND": "127.0.0.1:0,127.0.0.1:0",
            "TENANT_WEBHOOKS_SERVER__ADMIN_BIND": "127.0.0.1:0",
        },
    )


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("SERVER__BIND", "", "name at least one"),
        ("SERVER__BIND", "[1]", "write a list of texts"),
        ("SERVER__BIND", "[", '"[": write host:port'),
        ("SERVER__MAX_CONNECTIONS", "0", "write a whole number from 1 to 100000"),
        ("SERVER__MAX_CONNECTIONS", "", "write a whole number"),
        ("SERVER__REQUEST_TIMEOUT", "nan", "write a number of seconds from 0.01 to 3600"),
        ("SERVER__REQUEST_TIMEOUT", "inf", "write a number of seconds"),
        ("EGRESS__REQUIRE_HTTPS", "maybe", "write true or false"),
        ("EGRESS__ALLOW", "localhost", '"localhost": write an address or a network'),
        ("EGRESS__TENANTS", "acme", 'write {"acme": {"allow": ["10.20.0.0/16"]}}'),
        ("EGRESS__TENANTS", '{"Acme": {}}', '"Acme" cannot be the id of a tenant'),
        ("EGRESS__TENANTS", '{"acme": {"alow": []}}', "acme.alow: there is no such key; the only one is allow"),
        ("EGRESS__TENANTS", '{"acme": {"allow": ["x"]}}', 'acme.allow: "x": write an address or a network'),
        ("STORAGE__PATH", "", "write text that is not empty"),
    ],
)
def test_a_value_that_is_not_one_is_refused(name: str, value: str, told: str) -> None:
    (problem,) = refusal(**{name: value})
    assert f"(variable TENANT_WEBHOOKS_{name}): {told}" in problem


def test_types_in_the_file_are_not_guessed(tmp_path: Path) -> None:
    path = write(tmp_path, '[server]\nmax_connections = "5"\nrequest_timeout = true\n[auth]\noperator_token_file = 1')
    assert len(refusal(path)) == 3


def test_a_value_is_told_on_one_line_and_not_at_length(tmp_path: Path) -> None:
    (problem,) = refusal(write(tmp_path, '[logging]\nlevel = "a\\n\\u001b[31m' + "b" * 5000 + '"'))
    assert problem.isprintable()
    assert len(problem) < 400


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    assert refusal("/nowhere/house.toml") == ["/nowhere/house.toml: cannot be read: No such file or directory"]
    path = write(tmp_path, "[server\n")
    (problem,) = refusal(path)
    assert problem.startswith(f"{path}: is not TOML: ")
    assert "line 1" in problem
    (tmp_path / "house.toml").write_bytes(b"\xff\xfe")
    (problem,) = refusal(path)
    assert problem.startswith(f"{path}: is not TOML: ")
    (problem,) = refusal(write(tmp_path, "[server]\nbind = " + 20_000 * "["))
    assert "nested too deep" in problem


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20)))
def test_any_variables_are_either_settings_or_a_readable_refusal(variables: dict[str, str]) -> None:
    with contextlib.suppress(SettingsError):
        load(None, {f"TENANT_WEBHOOKS_{name}": value for name, value in variables.items()})


def test_settings_describe_themselves_as_they_would_be_written() -> None:
    settings = load(
        None,
        {
            "TENANT_WEBHOOKS_SERVER__BIND": "[::1]:80,unix:/a",
            "TENANT_WEBHOOKS_EGRESS__TENANTS": '{"acme": {"allow": ["10.0.0.0/8"]}}',
        },
    )
    described = msgspec.json.decode(msgspec.json.encode(describe(settings)))
    assert described["server"]["bind"] == ["[::1]:80", "unix:/a"]
    assert described["egress"] == {
        "require_https": False,
        "allow": [],
        "tenants": {"acme": {"allow": ["10.0.0.0/8"]}},
    }
    assert described["limits"]["event_bytes"] == 262144
    assert list(described) == [*Settings.__struct_fields__]


def test_tenants_with_labels_of_their_own_are_named_once_and_not_too_many() -> None:
    variable = "TENANT_WEBHOOKS_OBSERVE__TENANT_LABELS"
    assert load(None, {variable: "acme, globex,acme"}).observe.tenant_labels == ("acme", "globex")
    assert load(None, {variable: '["acme"]'}).observe.tenant_labels == ("acme",)
    assert len(load(None, {variable: ",".join(f"t{n}" for n in range(100))}).observe.tenant_labels) == 100
    for wrong, says in ((",".join(f"t{n}" for n in range(101)), "at most 100"), ("Acme", "cannot be the id")):
        with pytest.raises(SettingsError, match=says):
            load(None, {variable: wrong})
