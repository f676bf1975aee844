"""Records that hold a secret say nothing of it where an error or a log line might show them."""

from __future__ import annotations

import pytest

from daemon.front_end.operator_token import OperatorToken
from daemon.front_end.routes.signing_secrets import Rotation
from daemon.front_end.routes.webhooks import NewWebhook, WebhookChanges
from daemon.front_end.views import created_token
from daemon.front_end.webhook_views import created_webhook, signing_secret_view, webhook_view
from daemon.model import Endpoint, SigningSecret, Token, Webhook
from daemon.persistence.commands import CreateWebhook, RotateSecret, UpdateWebhook

SECRET = "c2VjcmV0"
RAW = SECRET.encode()
_OWN = {"authorization": SECRET}
_WEBHOOK = Webhook(1, "w0000001", 1, "https://example.com/", None, (), True, 0, 0, None, 0, None, _OWN)
_TOKEN = Token("tok_1", 1, None, (), 0, None, RAW)


@pytest.mark.parametrize(
    "record",
    [
        CreateWebhook(1, "https://example.com/", None, (), True, RAW),
        CreateWebhook(1, "https://example.com/", None, (), True, b"", _OWN),
        UpdateWebhook(1, "w0000001", headers=_OWN),
        NewWebhook(url="https://example.com/", headers=_OWN),
        WebhookChanges(headers=_OWN),
        _WEBHOOK,
        webhook_view(_WEBHOOK),
        created_webhook(_WEBHOOK, SECRET),
        created_token(_TOKEN, SECRET),
        SigningSecret(RAW, 1, None),
        RotateSecret(1, "w0000001", RAW, 0),
        signing_secret_view(SigningSecret(RAW, 1, None), [], SECRET),
        NewWebhook(url="https://example.com/", secret=SECRET),
        Rotation(secret=SECRET),
        Endpoint(1, "w0000001", "acme", "https://example.com/", (RAW,), SECRET),
        _TOKEN,
        OperatorToken(RAW),
    ],
    ids=lambda record: type(record).__name__,
)
def test_a_record_does_not_show_its_secret(record: object) -> None:
    assert SECRET not in repr(record)
    assert SECRET not in str(record)
