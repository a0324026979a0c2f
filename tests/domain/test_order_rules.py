"""The pure rules of an order: what may be bought, and what it costs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.domain.orders.errors import (
    InvalidAnswers,
    PackageNotOnSale,
    QuantityOutOfRange,
    SoldOut,
    TooManyTickets,
    UnknownPackage,
)
from shared.domain.orders.lines.answers import Option
from shared.domain.orders.lines.offers import Offer
from shared.domain.orders.lines.packages import PACKAGE
from shared.domain.orders.placing.basket import Wanted
from shared.domain.orders.placing.rules import price_lines, quantities
from shared.domain.orders.schemas import AnswerIn

NOW = datetime(2027, 4, 17, 18, tzinfo=UTC)
ONE, TWO = UUID(int=1), UUID(int=2)
SEAT = Offer(
    kind=PACKAGE,
    id=ONE,
    name="Seat",
    price_cents=2_500,
    tickets_each=1,
    is_enabled=True,
    min_per_order=1,
    max_per_order=None,
    sale_starts_at=None,
    sale_ends_at=None,
    remaining=None,
    terms=1,
    options_per="item",
    options=(),
)
TABLE = replace(SEAT, id=TWO, name="Table", price_cents=40_000, tickets_each=10, remaining=3)


def lines(*items: tuple[UUID, int], now: datetime = NOW, **changed: Any) -> Any:
    asked = [Wanted(PACKAGE, package_id, quantity) for package_id, quantity in items]
    return price_lines(asked, {ONE: replace(SEAT, **changed), TWO: TABLE}, now=now)


def given(answers: list[dict[str, Any]]) -> list[AnswerIn]:
    return [AnswerIn.model_validate(answer) for answer in answers]


def test_lines_are_priced_in_the_order_of_the_request():
    priced = lines((TWO, 2), (ONE, 3))
    assert [(line.offer.name, line.quantity, line.total_cents, line.ticket_count) for line in priced] == [
        ("Table", 2, 80_000, 20),
        ("Seat", 3, 7_500, 3),
    ]
    assert quantities(priced) == {TWO: 2, ONE: 3}


def test_lines_of_one_package_are_counted_together():
    assert quantities(lines((ONE, 1), (TWO, 1), (ONE, 4))) == {ONE: 5, TWO: 1}
    with pytest.raises(SoldOut) as refused:
        lines((TWO, 2), (TWO, 2))
    assert refused.value.fields == {"package_id": str(TWO), "remaining": 3}


@pytest.mark.parametrize(
    ("window", "sold"),
    [
        ({"sale_starts_at": NOW}, True),
        ({"sale_starts_at": NOW + timedelta(microseconds=1)}, False),
        ({"sale_ends_at": NOW}, False),
        ({"sale_ends_at": NOW + timedelta(microseconds=1)}, True),
    ],
)
def test_a_sale_begins_at_its_start_and_is_over_at_its_end(window, sold):
    if sold:
        assert len(lines((ONE, 1), **window)) == 1
    else:
        with pytest.raises(PackageNotOnSale):
            lines((ONE, 1), **window)


def test_a_package_that_the_event_does_not_have_is_named_by_its_line():
    with pytest.raises(UnknownPackage) as refused:
        lines((ONE, 1), (UUID(int=3), 1))
    assert refused.value.faults[0].pointer == "/items/1/package_id"


def test_a_wrong_answer_is_named_by_its_own_line_and_place():
    agree = Option(UUID(int=7), "I agree", "boolean", (), None, required=True)
    answers = [{"option_id": UUID(int=8), "value": True}, {"option_id": agree.id, "value": False}]
    asked = [
        Wanted(PACKAGE, TWO, 1),
        Wanted(PACKAGE, ONE, 1, given(answers)),
        Wanted(PACKAGE, ONE, 1),
    ]
    with pytest.raises(InvalidAnswers) as refused:
        price_lines(asked, {ONE: replace(SEAT, options=(agree,)), TWO: TABLE}, now=NOW)
    assert [(fault.pointer, fault.code) for fault in refused.value.faults] == [
        ("/items/1/answers/0/option_id", "answer_unknown_option"),
        ("/items/1/answers/1/value", "answer_missing"),
        ("/items/2/answers", "answer_missing"),
    ]


def test_an_answer_to_a_package_that_asks_nothing_is_refused():
    answers = [{"option_id": UUID(int=7), "value": True}]
    asked = Wanted(PACKAGE, ONE, 1, given(answers))
    with pytest.raises(InvalidAnswers) as refused:
        price_lines([asked], {ONE: SEAT}, now=NOW)
    assert [fault.pointer for fault in refused.value.faults] == ["/items/0/answers/0/option_id"]


def test_a_question_per_ticket_is_asked_for_each_ticket_of_all_the_packages():
    name = Option(UUID(int=7), "Name", "text_input", (), None, required=True)
    table = replace(TABLE, tickets_each=2, options=(name,), options_per="ticket")
    answers = [{"option_id": name.id, "value": f"Guest {ticket}", "ticket": ticket} for ticket in (1, 2, 3, 4)]
    asked = Wanted(PACKAGE, TWO, 2, given(answers))
    [line] = price_lines([asked], {TWO: table}, now=NOW)
    assert [(answer.ticket, answer.value) for answer in line.answers] == [
        (0, "Guest 1"),
        (1, "Guest 2"),
        (2, "Guest 3"),
        (3, "Guest 4"),
    ]


def test_a_quantity_out_of_range_is_named_by_the_first_line_of_its_package():
    with pytest.raises(QuantityOutOfRange) as refused:
        lines((TWO, 1), (ONE, 2), (ONE, 2), max_per_order=3)
    assert refused.value.faults[0].pointer == "/items/1/quantity"
    assert refused.value.fields == {"min_per_order": 1, "max_per_order": 3}


@pytest.mark.parametrize(("quantity", "fits"), [(1, False), (2, True), (3, True), (4, False)])
def test_least_and_most_count_as_inside(quantity, fits):
    if fits:
        assert lines((ONE, quantity), min_per_order=2, max_per_order=3)[0].quantity == quantity
    else:
        with pytest.raises(QuantityOutOfRange):
            lines((ONE, quantity), min_per_order=2, max_per_order=3)


def test_a_thousand_tickets_are_the_most():
    assert sum(line.ticket_count for line in lines((ONE, 10), tickets_each=100)) == 1_000
    with pytest.raises(TooManyTickets):
        lines((ONE, 11), tickets_each=91)


def test_what_is_not_for_sale_is_refused_before_what_is_sold_out():
    with pytest.raises(PackageNotOnSale):
        lines((ONE, 1), is_enabled=False, remaining=0)


def test_the_last_that_is_left_is_sold_and_no_more():
    assert lines((ONE, 3), remaining=3)[0].quantity == 3
    with pytest.raises(SoldOut):
        lines((ONE, 4), remaining=3)


def test_a_sold_out_refusal_speaks_of_what_is_left():
    with pytest.raises(SoldOut, match="“Seat” is sold out"):
        lines((ONE, 1), remaining=0)
    with pytest.raises(SoldOut, match="“Seat” has only 2 left"):
        lines((ONE, 3), remaining=2)
