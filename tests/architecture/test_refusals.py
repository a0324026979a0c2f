"""Every refusal maps to a status, has its own code, and explains itself in one sentence."""

import pkgutil
import re
from typing import Any

import pytest

import shared
from shared.kit.errors import Conflict, Forbidden, Gone, InvalidInput, NotFound, Refusal, StaleVersion
from shared.kit.http.problems import STATUS_OF, EdgeProblem, problem_of, status_of
from tests.architecture.application import load


def below(kind: type[Any]) -> list[type[Any]]:
    found = [kind]
    for child in kind.__subclasses__():
        found += below(child)
    return found


@pytest.fixture(scope="module")
def refusals(app_environment):
    """Every refusal that any module of the app defines, including the edge's."""
    for module in pkgutil.walk_packages(shared.__path__, "shared."):
        if not module.name.startswith("shared.migrations"):
            load(module.name, app_environment)
    load("functions.platform", app_environment)
    ours = [*below(Refusal), *below(EdgeProblem)]
    found = [kind for kind in ours if kind.__module__.startswith(("shared.", "functions."))]
    assert len(found) > 30
    return found


def test_every_refusal_maps_to_the_status_of_its_category(refusals):
    domain = [kind for kind in refusals if issubclass(kind, Refusal) and kind is not Refusal]
    for kind in domain:
        categories = [category for category in STATUS_OF if issubclass(kind, category)]
        assert len(categories) == 1, kind
        assert status_of(kind) == STATUS_OF[categories[0]], kind
    agreed = {InvalidInput: 422, Forbidden: 403, NotFound: 404, Conflict: 409, Gone: 410, StaleVersion: 412}
    assert STATUS_OF | agreed == STATUS_OF
    assert all(400 <= status < 500 for status in STATUS_OF.values())


def test_every_edge_problem_has_a_status_of_refusal(refusals):
    for kind in refusals:
        if issubclass(kind, EdgeProblem):
            assert 400 <= kind.status <= 599, kind


def test_no_two_refusals_share_a_code(refusals):
    codes: dict[str, list[type]] = {}
    for kind in refusals:
        codes.setdefault(kind.code, []).append(kind)
    # The edge finds faults in the input before the domain does: to a client that is the same thing.
    assert [kind.__name__ for kind in codes.pop("invalid_input")] == ["InvalidInput", "Invalid"]
    # The base class of the edge's problems itself is never raised.
    assert [kind.__name__ for kind in codes.pop("bad_request", [])] in ([], ["EdgeProblem"])
    assert {code: kinds for code, kinds in codes.items() if len(kinds) > 1} == {}


def test_every_code_is_said_in_the_class_itself_in_snake_case(refusals):
    for kind in refusals:
        assert "code" in vars(kind), f"{kind.__name__} inherits the code {kind.code}"
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code), kind.code


def test_every_refusal_says_in_one_sentence_what_it_means(refusals):
    for kind in refusals:
        assert kind.__doc__, kind
        first = kind.__doc__.strip().splitlines()[0]
        assert first[0].isupper(), first
        assert first.endswith("."), first
        assert kind.title() == first.rstrip(".")


def test_a_problem_document_shows_what_a_client_can_act_on_and_nothing_else():
    class TooWet(Conflict):
        """The stage is under water."""

        code = "too_wet"

    status, document, headers = problem_of(TooWet("Wait for the pump.", centimetres=7), "request-1")
    assert (status, headers) == (409, {})
    assert document == {
        "type": "urn:boxoffice:problem:too_wet",
        "title": "The stage is under water",
        "status": 409,
        "detail": "Wait for the pump.",
        "code": "too_wet",
        "request_id": "request-1",
        "centimetres": 7,
    }
