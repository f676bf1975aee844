"""`check-config`: the whole configuration as TOML, with its sources."""

from __future__ import annotations

import os
import tomllib
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from daemon.cli.root import cli
from daemon.cli.serve import toml_lines
from daemon.settings import Settings, describe

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUE = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = VALUE | st.lists(VALUE) | st.dictionaries(TEXT, st.dictionaries(TEXT, st.lists(TEXT)))


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TENANT_WEBHOOKS_")]:
        monkeypatch.delenv(name)


@given(
    st.dictionaries(st.sampled_from(["server", "egress"]), st.dictionaries(st.sampled_from(["a", "b", "c"]), VALUES))
)
def test_what_is_printed_is_a_configuration_that_says_the_same(sections: dict[str, dict[str, object]]) -> None:
    assert tomllib.loads("\n".join(toml_lines(sections, lambda _section, _key: "default"))) == sections


def test_the_defaults_are_printed_whole() -> None:
    result = CliRunner().invoke(cli, ["check-config"])
    assert result.exit_code == 0
    assert tomllib.loads(result.stdout) == describe(Settings())


def test_each_value_names_its_source(tmp_path: Path) -> None:
    config = tmp_path / "tenant-webhooks.toml"
    config.write_text('[delivery]\ntimeout = 7\nkeep_alive = 3\n[egress.tenants.acme]\nallow = ["10.0.0.0/8"]\n')
    environment = {"TENANT_WEBHOOKS_DELIVERY__TIMEOUT": "9", "TENANT_WEBHOOKS_TOKEN": "tw_secret"}
    result = CliRunner().invoke(cli, ["check-config", "--config", str(config)], env=environment)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "timeout = 9.0  # TENANT_WEBHOOKS_DELIVERY__TIMEOUT" in lines
    assert f"keep_alive = 3.0  # {config}" in lines
    assert f'tenants = {{"acme" = {{"allow" = ["10.0.0.0/8"]}}}}  # {config}' in lines
    assert "connect_timeout = 5.0  # default" in lines
    assert "tw_secret" not in result.output


@pytest.mark.parametrize("command", ["check-config", "serve", "backup", "check"])
def test_a_configuration_that_cannot_be_used_ends_each_command_with_2_and_the_reason(
    command: str, tmp_path: Path
) -> None:
    config = tmp_path / "tenant-webhooks.toml"
    config.write_text("[delivery]\ntimeuot = 7\n")
    arguments = [str(tmp_path / "copy.db")] if command == "backup" else []
    result = CliRunner().invoke(cli, [command, "--config", str(config), *arguments])
    assert result.exit_code == 2
    assert "timeuot" in result.stderr
    assert result.stdout == ""


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["serve", "--config", str(tmp_path / "missing.toml")])
    assert result.exit_code == 2
    assert "missing.toml" in result.stderr
