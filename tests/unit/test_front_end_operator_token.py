"""The operator's token file: made once, for its owner alone, and refused when it is not safe."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from daemon.front_end.operator_token import OperatorToken, OperatorTokenError, operator_token_path
from daemon.front_end.tokens import digest
from daemon.settings import AuthSettings, Settings, StorageSettings

if TYPE_CHECKING:
    from pathlib import Path

GOOD = "tw_" + "x" * 40


def settings(folder: Path, file: Path | None = None) -> Settings:
    return Settings(
        storage=StorageSettings(path=str(folder / "webhooks.db")),
        auth=AuthSettings(operator_token_file="" if file is None else str(file)),
    )


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def refusal(settings: Settings) -> str:
    with pytest.raises(OperatorTokenError) as caught:
        OperatorToken.open(settings)
    return str(caught.value)


def test_the_first_start_makes_a_token_beside_the_database_for_its_owner_alone(tmp_path: Path) -> None:
    token = OperatorToken.open(settings(tmp_path))
    path = tmp_path / "operator.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text().strip()
    assert text.startswith("tw_")
    assert token == OperatorToken(digest(text))
    assert [entry.name for entry in tmp_path.iterdir()] == ["operator.token"]


def test_the_next_start_uses_the_same_token(tmp_path: Path) -> None:
    assert OperatorToken.open(settings(tmp_path)) == OperatorToken.open(settings(tmp_path))


def test_a_configured_file_is_used_and_white_space_around_the_token_does_not_count(tmp_path: Path) -> None:
    file = written(tmp_path / "mine", f"\n {GOOD}\r\n".encode())
    assert OperatorToken.open(settings(tmp_path, file)) == OperatorToken(digest(GOOD))
    assert operator_token_path(settings(tmp_path, file)) == file


def test_a_configured_file_that_is_missing_is_not_made(tmp_path: Path) -> None:
    assert "auth.operator_token_file" in refusal(settings(tmp_path, tmp_path / "missing"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"short", "too short"),
        (b"x" * 31, "too short"),
        (b"x" * 40 + b"\n" + b"y" * 40, "one token"),
        (b"x" * 40 + b"\x00", "one token"),
        ("é".encode() * 40, "one token"),
        (b"x" * 5000, "one token"),
    ],
)
def test_a_file_that_holds_no_good_token_is_refused_without_showing_it(
    tmp_path: Path, content: bytes, why: str
) -> None:
    message = refusal(settings(tmp_path, written(tmp_path / "mine", content)))
    assert why in message
    assert "xxxxx" not in message
    assert "short" not in message or "too short" in message


@pytest.mark.parametrize(
    ("mode", "safe"), [(0o600, True), (0o400, True), (0o440, True), (0o644, False), (0o660, False), (0o604, False)]
)
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int, safe: bool) -> None:
    file = written(tmp_path / "mine", GOOD.encode(), mode)
    if safe:
        OperatorToken.open(settings(tmp_path, file))
    else:
        assert f"chmod 600 {file}" in refusal(settings(tmp_path, file))


def test_a_folder_is_no_token(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(settings(tmp_path, tmp_path))


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    message = refusal(settings(tmp_path / "missing"))
    assert "cannot be written" in message
    assert "auth.operator_token_file" in message
