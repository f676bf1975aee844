"""`config/tenant-webhooks.toml` is the documentation of the settings: it names each, and tells the truth."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from msgspec import Struct, inspect, structs

from daemon.event_types.json_schema import MOST_BYTES
from daemon.event_types.names import LONGEST_NAME
from daemon.settings import EventTypeSettings, Settings, describe, load
from daemon.settings.event_types import LONGEST_DESCRIPTION, MOST_TYPES

FILE = Path(__file__).parents[2] / "config" / "tenant-webhooks.toml"
TEXT = FILE.read_text(encoding="utf-8")
SETTING = re.compile(r"^#(?=\w+ = )", re.MULTILINE)


def settings_of(section: str) -> tuple[structs.FieldInfo, ...]:
    record = getattr(Settings(), section)
    assert isinstance(record, Struct)
    return structs.fields(record)


def comment_above(section: str, key: str) -> str:
    (body,) = re.findall(rf"^\[{section}\]\n(.*?)(?=^\[|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    before, found, _ = body.partition(f"\n#{key} = ")
    assert found, f"{section}.{key} is not in {FILE.name}"
    return " ".join(line.lstrip("# ") for line in before.rpartition("\n\n")[2].splitlines())


def test_as_it_stands_the_file_changes_nothing() -> None:
    assert load(str(FILE), {}) == Settings()


def test_uncommented_the_file_says_every_setting_and_its_default(tmp_path: Path) -> None:
    everything = tmp_path / "everything.toml"
    everything.write_text(SETTING.sub("", TEXT), encoding="utf-8")
    assert tomllib.loads(everything.read_text(encoding="utf-8")) == describe(Settings())
    assert load(str(everything), {}) == Settings()


@pytest.mark.parametrize("section", [name for name in Settings.__struct_fields__ if name != "events"])
def test_every_setting_is_explained_with_its_bounds(section: str) -> None:
    for field in settings_of(section):
        comment = comment_above(section, field.name)
        assert len(comment) > 40, f"{section}.{field.name} is not explained"
        if field.name in {"bind", "observe_bind", "admin_bind", "allow", "tenants"}:
            continue
        kind = inspect.type_info(field.type)
        kind = kind.type if isinstance(kind, inspect.Metadata) else kind
        if isinstance(kind, inspect.IntType | inspect.FloatType):
            assert f"({kind.ge:g} to {kind.le:g}" in comment or f"({kind.ge} to {kind.le}" in comment, comment
        if isinstance(kind, inspect.LiteralType):
            assert all(f'"{value}"' in comment for value in kind.values)


def test_the_example_of_a_tenant_s_networks_can_be_used(tmp_path: Path) -> None:
    example = tmp_path / "example.toml"
    example.write_text(
        "\n".join(line[4:] for line in TEXT.splitlines() if line.startswith("#   [eg")) + '\nallow=["::1"]'
    )
    assert list(load(str(example), {}).egress.tenants) == ["acme"]


def test_the_example_of_an_event_type_can_be_used_and_every_key_of_one_is_explained(tmp_path: Path) -> None:
    _, _, section = TEXT.partition("\n[events]\n")
    example = tmp_path / "example.toml"
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "payment.json").write_text('{"required": ["id", "amount", "currency"]}')
    _, _, lines = section.partition("# For example:\n")
    example.write_text("\n".join(line.removeprefix("#   ") for line in lines.splitlines()))
    assert list(load(str(example), {}).events) == ["payment.completed"]
    for key in EventTypeSettings.__struct_fields__:
        assert f"\n# `{key}`" in section or key == "text"
    assert all(str(bound) in section for bound in (MOST_TYPES, MOST_BYTES, LONGEST_NAME, LONGEST_DESCRIPTION))
