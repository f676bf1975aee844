"""Code that is not ours and verifies deliveries: public packages of PyPI and npm, in the versions that are locked."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import standardwebhooks
import svix.webhooks

from harness.foreign import node

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Verifier = Callable[[str, Mapping[str, str], bytes], bool]

HERE = Path(__file__).parent.parent / "verifiers"
ANSWERS_WITHIN = 30


def _standard_of_python(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        standardwebhooks.Webhook(secret).verify(body, dict(headers))
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


def _svix_of_python(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        svix.webhooks.Webhook(secret).verify(body, dict(headers))
    except svix.webhooks.WebhookVerificationError:
        return False
    return True


def _of_node(library: str) -> Verifier:
    def verify(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
        if not (HERE / "node_modules" / library).is_dir():
            pytest.skip("the packages of npm are not installed: `make verifiers` does it")
        question = {
            "library": library,
            "secret": secret,
            "headers": dict(headers),
            "body": base64.b64encode(body).decode(),
        }
        done = subprocess.run(
            [node(), HERE / "verify.mjs"],
            input=json.dumps(question).encode(),
            stdout=subprocess.PIPE,
            check=True,
            timeout=ANSWERS_WITHIN,
        )
        answer = json.loads(done.stdout)
        assert answer["verified"] or "signature" in answer["error"].lower(), answer
        return answer["verified"]

    return verify


VERIFIERS: dict[str, Verifier] = {
    "standardwebhooks of PyPI": _standard_of_python,
    "svix of PyPI": _svix_of_python,
    "standardwebhooks of npm": _of_node("standardwebhooks"),
    "svix of npm": _of_node("svix"),
}
