"""The pure rules of an order: what may be bought, and what it costs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from shared.domain.orders.errors import (
    PackageNotOnSale,
    QuantityOutOfRange,
    SoldOut,
    TooManyTickets,
    UnknownPackage,
)
from shared.domain.orders.lines.offers import Offer
from shared.domain.orders.lines.packages import PACKAGE
from shared.domain.orders.placing.basket import Wanted
from shared.domain.orders.placing.rules import price_lines, quantities

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
        lines((ONE, 10), (TWO, 1), tickets_each=100)


def test_what_is_not_for_sale_is_refused_before_what_is_sold_out():
    with pytest.raises(PackageNotOnSale):
        lines((ONE, 1), is_enabled=False, remaining=0)


def test_a_sold_out_refusal_speaks_of_what_is_left():
    with pytest.raises(SoldOut, match="“Seat” is sold out"):
        lines((ONE, 1), remaining=0)
    with pytest.raises(SoldOut, match="“Seat” has only 2 left"):
        lines((ONE, 3), remaining=2)
