"""When a package is on sale, and how many are left, as buyers see it (R-PKG-6)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.catalog.rules import (
    check_choices,
    check_sale_rules,
    check_times,
    remaining,
    slug_of,
    why_not_on_sale,
)
from shared.kit.errors import InvalidInput

NOW = datetime(2027, 4, 17, 18, tzinfo=UTC)
A_MOMENT = timedelta(microseconds=1)


def why_not(**changed: Any) -> str | None:
    known: dict[str, Any] = {"event_status": "published", "is_enabled": True, "sale_starts_at": None}
    return why_not_on_sale(**known | {"sale_ends_at": None} | changed, now=NOW)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"sale_starts_at": NOW}, None),
        ({"sale_starts_at": NOW + A_MOMENT}, "The sale begins on 2027-04-17 at 18:00 UTC."),
        ({"sale_ends_at": NOW + A_MOMENT}, None),
        ({"sale_ends_at": NOW}, "The sale has ended."),
        ({"is_enabled": False}, "Not for sale."),
        ({"event_status": "draft"}, "Not for sale."),
        ({"event_status": "cancelled"}, "The event is cancelled."),
    ],
)
def test_a_package_is_on_sale_from_its_start_and_no_more_at_its_end(changed, reason):
    assert why_not(**changed) == reason


def test_what_is_held_is_as_little_left_as_what_is_sold():
    assert remaining(10, held=2, sold=5) == 3
    assert remaining(10, held=2, sold=9) == 0
    assert remaining(None, held=2, sold=5) is None


def refused_at(check: Any, **arguments: Any) -> str | None:
    try:
        check(**arguments)
    except InvalidInput as refusal:
        return refusal.faults[0].pointer
    return None


def test_what_nobody_could_ever_buy_or_visit_is_refused():
    rules: dict[str, Any] = {"min_per_order": 2, "max_per_order": 2, "sale_starts_at": NOW, "sale_ends_at": None}
    assert refused_at(check_sale_rules, **rules) is None
    assert refused_at(check_sale_rules, **rules | {"max_per_order": 1}) == "/max_per_order"
    assert refused_at(check_sale_rules, **rules | {"sale_ends_at": NOW + A_MOMENT}) is None
    assert refused_at(check_sale_rules, **rules | {"sale_ends_at": NOW}) == "/sale_ends_at"
    assert refused_at(check_times, starts_at=NOW, ends_at=NOW + A_MOMENT) is None
    assert refused_at(check_times, starts_at=NOW, ends_at=NOW) == "/ends_at"


def test_an_answer_has_one_choice_unless_the_question_allows_more():
    assert check_choices("multi_select", ["Fish", "Meat"], None) == 1
    assert check_choices("multi_select", ["Fish", "Meat"], 2) == 2
    assert check_choices("boolean", [], None) is None


@pytest.mark.parametrize(
    ("kind", "choices", "most", "pointer"),
    [
        ("multi_select", ["Fish"], None, "/choices"),
        ("multi_select", ["Fish", "Fish"], None, "/choices"),
        ("multi_select", ["Fish", "Meat"], 3, "/max_choices"),
        ("boolean", ["Fish", "Meat"], None, "/choices"),
        ("text_input", [], 1, "/choices"),
    ],
)
def test_choices_that_make_no_sense_are_refused(kind, choices, most, pointer):
    assert refused_at(check_choices, option_type=kind, choices=choices, max_choices=most) == pointer


def test_a_title_becomes_an_address_of_at_most_sixty_characters():
    assert slug_of("Gala at the Zoo!") == "gala-at-the-zoo"
    assert slug_of("x" * 59 + " yes") == "x" * 59
    assert slug_of("???") == "event"
