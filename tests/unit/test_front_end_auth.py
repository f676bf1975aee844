"""Who gets in: tokens against the registry, permissions against routes, tenants against names."""

from __future__ import annotations

import pytest

from daemon.front_end.auth import OPERATOR, Access, Principal, acting_for, authenticate, authorise
from daemon.front_end.operator_token import OperatorToken
from daemon.front_end.problems import Problem
from daemon.front_end.tokens import digest, new_token
from daemon.model import Permission, Tenant, Token
from daemon.persistence.registry import Registry

NOW = 1_000
ACME, GLOBEX, ASLEEP = (
    Tenant(1, "acme", None, True, 0),
    Tenant(2, "globex", None, True, 0),
    Tenant(3, "asleep", None, False, 0),
)
BOSS = OperatorToken(digest("boss"))


def token(text: str, tenant: Tenant, *permissions: Permission, expires: int | None = None) -> Token:
    return Token(f"tok_{text}", tenant.seq, None, permissions, 0, expires, digest(text))


REGISTRY = Registry(
    (ACME, GLOBEX, ASLEEP),
    (
        token("hooks", ACME, "manage_webhooks"),
        token("events", ACME, "publish_events"),
        token("late", ACME, "publish_events", expires=NOW),
        token("soon", ACME, "publish_events", expires=NOW + 1),
        token("idle", ASLEEP, "manage_webhooks", "publish_events"),
    ),
)


def principal(text: str) -> Principal:
    return authenticate(f"Bearer {text}", REGISTRY, BOSS, NOW)


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic aG9va3M=", "hooks", "Bearer nobody", "Bearer hooks x", "Bearer late"],
)
def test_without_a_valid_token_nobody_gets_in(header: str | None) -> None:
    with pytest.raises(Problem) as caught:
        authenticate(header, REGISTRY, BOSS, NOW)
    assert caught.value.slug == "unauthorized"
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer realm=")


def test_a_token_speaks_for_its_tenant_until_it_expires() -> None:
    assert principal("hooks").tenant == ACME
    assert principal("soon").tenant == ACME
    assert authenticate("bearer  boss ", REGISTRY, BOSS, NOW) == OPERATOR


@pytest.mark.parametrize(
    ("text", "access", "may"),
    [
        ("hooks", "manage_webhooks", True),
        ("hooks", "publish_events", False),
        ("hooks", "either", True),
        ("hooks", "operator", False),
        ("events", "manage_webhooks", False),
        ("events", "publish_events", True),
        ("events", "either", True),
        ("idle", "manage_webhooks", False),
        ("idle", "either", False),
        ("boss", "manage_webhooks", True),
        ("boss", "publish_events", True),
        ("boss", "operator", True),
    ],
)
def test_a_token_may_use_the_routes_of_its_permissions_alone(text: str, access: Access, may: bool) -> None:
    if may:
        authorise(principal(text), access, operator_accepted=True)
    else:
        with pytest.raises(Problem) as caught:
            authorise(principal(text), access, operator_accepted=True)
        assert caught.value.slug == "forbidden"


def test_the_operators_token_is_refused_where_it_has_an_address_of_its_own_elsewhere() -> None:
    with pytest.raises(Problem) as caught:
        authorise(OPERATOR, "either", operator_accepted=False)
    assert caught.value.slug == "forbidden"
    authorise(principal("hooks"), "either", operator_accepted=False)


def test_a_tenant_acts_for_itself_and_an_operator_for_whom_it_names() -> None:
    assert acting_for(principal("hooks"), None, REGISTRY) == ACME
    assert acting_for(principal("hooks"), "acme", REGISTRY) == ACME
    assert acting_for(OPERATOR, "globex", REGISTRY) == GLOBEX
    assert acting_for(OPERATOR, None, REGISTRY) is None


@pytest.mark.parametrize("name", ["globex", "nobody", ""])
def test_a_tenant_that_names_another_learns_nothing_about_it(name: str) -> None:
    with pytest.raises(Problem) as caught:
        acting_for(principal("hooks"), name, REGISTRY)
    assert caught.value.slug == "forbidden"
    assert name == "" or name not in str(caught.value.document)


def test_a_new_token_has_192_bits_or_more_and_no_two_are_alike() -> None:
    made = {new_token() for _ in range(100)}
    assert len(made) == 100
    assert all(text.startswith("tw_") and len(text) >= 3 + 32 for text in made)


def test_no_representation_shows_a_credential() -> None:
    shown = repr(principal("hooks")) + repr(BOSS)
    assert digest("hooks").hex() not in shown
    assert repr(digest("hooks"))[2:10] not in shown
    assert "hooks" not in repr(BOSS)
