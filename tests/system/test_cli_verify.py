"""`verify` from a terminal: what it takes, what it prints, how it ends."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from scripted_api import run

from daemon.delivery.signing import Signer, format_secret

if TYPE_CHECKING:
    from pathlib import Path

    from harness.starting import Daemons, Receivers

KEY, OTHER = b"k" * 32, b"o" * 32
ID = "evt_019a062d9b80a84e4cf0f13b6d02c95e"
BODY = '{"Event":"webhook.ping","Timestamp":"2025-10-21T11:00:00Z","Webhook":{"Name":"Zoë"}}'.encode()


@pytest.fixture(autouse=True)
def _no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENANT_WEBHOOKS_SECRET", raising=False)


def head(body: bytes = BODY) -> bytes:
    now = int(time.time())
    signature = Signer([KEY]).sign(ID, now, body).decode()
    return f"webhook-id: {ID}\nwebhook-timestamp: {now}\nwebhook-signature: {signature}\n".encode()


def secret_file(folder: Path, *keys: bytes) -> str:
    file = folder / "secret"
    file.write_text("".join(format_secret(key) + "\n" for key in keys or (KEY,)))
    return str(file)


def test_a_whole_request_on_stdin_verifies(tmp_path: Path) -> None:
    result = run("verify", "--secret-file", secret_file(tmp_path), input=head() + b"\n" + BODY)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "verified"


def test_the_secret_may_be_in_the_environment_and_the_headers_in_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENANT_WEBHOOKS_SECRET", format_secret(KEY))
    now = int(time.time())
    signature = Signer([KEY]).sign(ID, now, BODY).decode()
    options = ["--id", ID, "--timestamp", str(now), "--signature", signature]
    result = run("verify", *options, "--body", "-", input=BODY)
    assert result.exit_code == 0, result.output


def test_a_line_break_that_an_editor_added_is_named_and_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "headers").write_bytes(head())
    (tmp_path / "body").write_bytes(BODY + b"\n")
    files = ["--headers", str(tmp_path / "headers"), "--body", str(tmp_path / "body")]
    result = run("verify", *files, "--secret-file", secret_file(tmp_path))
    assert result.exit_code == 1
    assert result.stdout.startswith("NOT VERIFIED")
    assert "line break was added" in result.stdout


def test_for_programs_it_is_one_document_with_the_same_exit_code(tmp_path: Path) -> None:
    file = secret_file(tmp_path, OTHER)
    result = run("verify", "--json", "--secret-file", file, input=head() + b"\n" + BODY)
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["verified"] is False
    assert [finding["part"] for finding in document["findings"]] == ["id", "timestamp", "signature", "secret", "body"]
    assert {f["part"] for f in document["findings"] if f["verdict"] == "suspect"} == {"secret", "body", "id"}
    assert all(f.keys() == {"part", "verdict", "detail"} for f in document["findings"])
    assert abs(document["skewSeconds"]) < 60


def test_an_old_delivery_verifies_as_of_when_it_came(tmp_path: Path) -> None:
    signature = Signer([KEY]).sign(ID, 1_761_044_400, BODY).decode()
    request = f"webhook-id: {ID}\nwebhook-timestamp: 1761044400\nwebhook-signature: {signature}\n\n".encode() + BODY
    file = secret_file(tmp_path)
    assert run("verify", "--secret-file", file, input=request).exit_code == 1
    for when in ("2025-10-21T11:00:03Z", "1761044403"):
        assert run("verify", "--secret-file", file, "--received", when, input=request).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "input"),
    [
        ("--headers - --body -", b""),
        ("--body - --secret-file -", b""),
        ("--body /dev/null --secret-file -", b""),
        ("--body - --secret-file FILE --id evt_1", b""),
        ("--secret-file -", head() + b"\n" + BODY),
        ("", head() + b"\n" + BODY),
        ("--secret-file FILE", head()),
        ("--secret-file FILE", b"nothing of the kind"),
        ("--secret-file /nonexistent", head() + b"\n" + BODY),
        ("--secret-file /dev/null", head() + b"\n" + BODY),
        ("--headers /nonexistent --secret-file FILE", b""),
        ("--received yesterday --secret-file FILE", head() + b"\n" + BODY),
    ],
)
def test_what_cannot_be_looked_at_ends_with_2_and_says_why(tmp_path: Path, arguments: str, input: bytes) -> None:
    given = [secret_file(tmp_path) if word == "FILE" else word for word in arguments.split()]
    result = run("verify", *given, input=input)
    assert result.exit_code == 2, result.output
    assert "Error: " in result.stderr
    assert result.stdout == ""


def test_no_secret_is_ever_printed(tmp_path: Path) -> None:
    for text in (format_secret(KEY), format_secret(OTHER), "whsec_hunter2", "hunter2hunter2"):
        file = tmp_path / "own"
        file.write_text(text)
        result = run("verify", "--secret-file", str(file), input=head() + b"\n" + BODY)
        assert text.removeprefix("whsec_") not in result.output


async def test_a_real_delivery_verifies_from_what_the_receiver_has(
    daemons: Daemons, receivers: Receivers, tmp_path: Path
) -> None:
    daemon = await daemons.start()
    receiver = await receivers.start()
    acme = await daemon.tenant()
    webhook = await acme.register(receiver.url, name="Zoë")
    await acme.ask("POST", f"/v1/webhooks/{webhook['id']}/ping")
    (delivery,) = await receiver.arrived()
    file = tmp_path / "secret"
    file.write_text(webhook["secret"])
    lines = "".join(f"{name}: {value}\r\n" for name, value in delivery.headers)
    request = f"{delivery.line}\r\n{lines}\r\n".encode() + delivery.body
    result = run("verify", "--secret-file", str(file), "--json", input=request)
    assert result.exit_code == 0, result.output
    assert {finding["verdict"] for finding in json.loads(result.stdout)["findings"]} == {"right"}
