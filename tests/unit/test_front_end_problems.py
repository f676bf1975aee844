"""Problem documents: what clients read when something is declined."""

from __future__ import annotations

import msgspec
import pytest

from daemon.front_end.catalogue import KINDS
from daemon.front_end.problems import Culprit, Problem, at_pointer, from_refusal, invalid, not_found
from daemon.refusals import BacklogFull, IdempotencyConflict, NotFound, OutcomeUnknown


def test_a_document_has_the_members_of_rfc_9457_and_no_empty_ones() -> None:
    problem = at_pointer("invalid", "/events/3/session/id", "is required; add it")
    assert msgspec.json.decode(problem.body()) == {
        "type": "/problems/invalid",
        "title": "Invalid request",
        "status": 422,
        "detail": "/events/3/session/id: is required; add it",
        "errors": [{"detail": "is required; add it", "pointer": "/events/3/session/id"}],
    }


def test_the_whole_body_is_pointed_at_by_the_empty_pointer() -> None:
    document = msgspec.json.decode(at_pointer("too-large", "", "send less").body())
    assert document["errors"] == [{"detail": "send less", "pointer": ""}]
    assert document["detail"] == "The body: send less"


def test_of_several_culprits_the_detail_names_the_first_and_counts_the_rest() -> None:
    problem = invalid([Culprit("a", parameter="limit"), Culprit("b", parameter="x"), Culprit("c", pointer="/y")])
    assert problem.document.detail == "Query parameter limit: a (2 more in errors)"


def test_whatever_room_says_that_an_object_is_missing_the_bytes_are_the_same() -> None:
    assert from_refusal(NotFound("There is no webhook with this id.")).body() == not_found().body()


def test_a_refusal_keeps_its_words_and_its_place() -> None:
    document = from_refusal(IdempotencyConflict("Use another key.", pointer="/events/1")).document
    assert (document.status, document.detail, document.errors) == (
        409,
        "Use another key.",
        (Culprit("Use another key.", pointer="/events/1"),),
    )


def test_only_what_was_not_stored_may_be_sent_again_blindly() -> None:
    assert from_refusal(BacklogFull("x")).headers["Retry-After"] == "5"
    assert "Retry-After" not in from_refusal(OutcomeUnknown("x")).headers


@pytest.mark.parametrize("slug", sorted(KINDS))
def test_every_kind_makes_a_document_of_its_status(slug: str) -> None:
    problem = Problem(slug, "d")
    assert problem.document.status == problem.status == KINDS[slug].status
    assert problem.document.type == f"/problems/{slug}"
