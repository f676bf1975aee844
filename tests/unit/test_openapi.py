"""The OpenAPI document: valid by somebody else's word, complete, and described wherever a person looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from daemon.event_types.catalogue import Catalogue
from daemon.events import PING, SESSION_COMPLETED
from daemon.front_end.catalogue import KINDS
from daemon.front_end.decoding import NO_BODY
from daemon.front_end.fields import IDENTIFIERS
from daemon.front_end.openapi import document
from daemon.front_end.openapi.operations import VARIABLE, words_of
from daemon.front_end.openapi.problems import slugs_of
from daemon.front_end.routes import ROUTES
from daemon.front_end.routing import paths_of
from daemon.settings.records import EventTypeSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon.front_end.routing import AnyRoute

CONTENT = document(ROUTES, Catalogue({})).content
SCHEMAS: dict[str, Any] = CONTENT["components"]["schemas"]
EVERY_ROUTE = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)


def operation(route: AnyRoute) -> dict[str, Any]:
    return CONTENT["paths"][route.path][route.method.lower()]


def every(value: object) -> Iterator[dict[str, Any]]:
    """All objects in a document."""
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from every(part)
    elif isinstance(value, list):
        for part in value:
            yield from every(part)


def test_it_is_valid_openapi_3_1() -> None:
    assert CONTENT["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(CONTENT).iter_errors()] == []


def test_every_route_is_in_it_under_each_of_its_paths_and_nothing_else_is() -> None:
    wanted = {(path, route.method.lower()) for route in ROUTES for path in paths_of(route)}
    assert {(path, method) for path, item in CONTENT["paths"].items() for method in item} == wanted


def test_no_two_operations_have_one_name() -> None:
    names = [one["operationId"] for item in CONTENT["paths"].values() for one in item.values()]
    assert len(set(names)) == len(names)


@EVERY_ROUTE
def test_a_route_is_described(route: AnyRoute) -> None:
    summary, _ = words_of(route)
    where = f"the handler of {route.name} ({route.handler.__module__})"
    assert summary, f"{where} has no docstring: say in one line what a client can do with it"
    assert len(summary) <= 60, f"the first line of the docstring of {where} is a summary: at most 60 characters"
    assert "Raises" not in words_of(route)[1], f"the docstring of {where} is for clients"


@EVERY_ROUTE
def test_a_variable_of_a_path_is_one_of_the_identifiers(route: AnyRoute) -> None:
    missing = {collection for collection, _ in VARIABLE.findall(route.path)} - set(IDENTIFIERS)
    assert not missing, f"{route.path}: add {missing} to IDENTIFIERS in daemon/front_end/fields.py"
    assert route.path.count("{") == len(VARIABLE.findall(route.path)), f"{route.path}: a variable follows no collection"


@EVERY_ROUTE
def test_a_parameter_and_a_header_is_described(route: AnyRoute) -> None:
    for parameter in operation(route)["parameters"]:
        assert parameter["description"], (
            f"{parameter['name']} of {route.name} has no description: "
            "Annotated[…, described(…)] says what it means (daemon/described.py)"
        )


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_type_and_each_of_its_fields_is_described(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema.get("description"), f"{name} has no docstring: say what it is to a client"
    assert "CONTRACT" not in schema["description"], f"the docstring of {name} is for clients"
    for field, part in schema.get("properties", {}).items():
        assert part.get("description") or "$ref" in part, (
            f"{name}.{field} has no description: Annotated[…, described(…)] says what it means (daemon/described.py)"
        )


@EVERY_ROUTE
def test_a_route_names_its_problems_and_security(route: AnyRoute) -> None:
    made = operation(route)
    found = {
        example["value"]["type"].removeprefix("/problems/")
        for answer in made["responses"].values()
        if "$ref" in answer
        for media in CONTENT["components"]["responses"][answer["$ref"].rpartition("/")[2]]["content"].values()
        for example in media.get("examples", {}).values()
    }
    assert found == set(slugs_of(route)) >= set(route.problems)
    assert ("401" in made["responses"]) == ("403" in made["responses"]) == bool(made["security"])
    assert ("requestBody" in made) == (route.body is not NO_BODY)


@EVERY_ROUTE
def test_a_route_says_how_large_its_body_may_be(route: AnyRoute) -> None:
    if route.body is not NO_BODY:
        most = "65536" if route.body_bytes is not None else "server.max_body_bytes"
        assert f"At most {most} bytes" in operation(route)["requestBody"]["description"]


def test_every_problem_is_in_it_with_an_example_and_its_headers() -> None:
    examples = {
        slug: (answer, media)
        for answer in CONTENT["components"]["responses"].values()
        for media in answer["content"].values()
        for slug in media.get("examples", {})
    }
    assert set(examples) == set(KINDS)
    headers = {"unauthorized": "WWW-Authenticate", "method-not-allowed": "Allow", "draining": "Retry-After"}
    for slug, header in headers.items():
        assert header in examples[slug][0]["headers"]


def test_every_reference_and_link_leads_somewhere() -> None:
    names = {one["operationId"] for item in CONTENT["paths"].values() for one in item.values()}
    for one in every(CONTENT):
        if isinstance(reference := one.get("$ref"), str):
            place: Any = CONTENT
            for step in reference.removeprefix("#/").split("/"):
                place = place[step]
        if "operationId" in one and "responses" not in one:
            assert one["operationId"] in names


def test_an_id_that_is_made_leads_to_what_may_be_done_with_it() -> None:
    made = CONTENT["paths"]["/v1/tenant/webhooks"]["post"]["responses"]["201"]["links"]
    assert made["getWebhookUnderTenant"] == {
        "operationId": "getWebhookUnderTenant",
        "parameters": {"id": "$response.body#/id"},
    }
    token = CONTENT["paths"]["/v1/tenants/{id}/tokens"]["post"]["responses"]["201"]["links"]["revokeToken"]
    assert token["parameters"] == {"id": "$request.path.id", "token": "$response.body#/id"}


def test_what_receivers_get_is_in_it() -> None:
    assert set(CONTENT["webhooks"]) == {SESSION_COMPLETED, PING}
    for item in CONTENT["webhooks"].values():
        headers = {parameter["name"] for parameter in item["post"]["parameters"] if parameter["required"]}
        assert headers >= {"webhook-id", "webhook-timestamp", "webhook-signature"}


def test_types_of_the_configuration_are_in_it() -> None:
    schema = b'{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["amount"]}'
    its = EventTypeSettings(subject="Payment", description="Paid.", text=schema, example={"amount": 5})
    within = EventTypeSettings(subject="Thing", text=b'{"$ref":"#/$defs/a","$defs":{"a":{"type":"object"}}}')
    content = document(ROUTES, Catalogue({"payment.completed": its, "thing.seen": within})).content
    assert [error.message for error in OpenAPIV31SpecValidator(content).iter_errors()] == []
    schemas = content["components"]["schemas"]
    published = schemas["PublishedEvent.payment.completed"]
    assert published["properties"]["payment"] == {"description": "Paid.", "type": "object", "required": ["amount"]}
    assert published["required"] == ["event", "payment"]
    assert "session" not in published["properties"]
    assert schemas["PublishedEvent.thing.seen"]["properties"]["thing"]["type"] == "object"
    names = ["onboard.session.completed", "payment.completed", "thing.seen"]
    assert schemas["NewWebhook"]["properties"]["events"]["items"]["enum"] == names
    assert set(content["webhooks"]) == {*names, PING}
    shown = content["webhooks"]["payment.completed"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert shown == {"Event": "payment.completed", "Timestamp": "2025-10-21T11:00:00Z", "Payment": {"amount": 5}}
