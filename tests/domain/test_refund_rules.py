"""How much money is refunded, which tickets become void, and what may be sold again (R-ORD-7)."""

from typing import Any
from uuid import UUID

import pytest

from shared.domain.orders.returning import SoldLine
from shared.domain.payments.errors import NotRefundable, RefundExceedsPaid
from shared.domain.payments.refund_rules import Plan, Wish, plan_refund
from shared.kit.errors import InvalidInput

ITEM, OTHER = UUID(int=101), UUID(int=102)
T1, T2, T3, T4 = (UUID(int=number) for number in (1, 2, 3, 4))


def line(*tickets: UUID, gross: int, void: tuple[UUID, ...] = (), **fields: Any) -> SoldLine:
    """A line of packages with one ticket each, unless `fields` change that."""
    known: dict[str, Any] = {"id": ITEM, "quantity": len(tickets), "tickets_each": 1, "returned": 0}
    return SoldLine(
        stock_id=UUID(int=201),
        gross_cents=gross,
        tickets=tuple((ticket, ticket in void) for ticket in tickets),
        **known | fields,
    )


def plan(wish: Wish, *lines: SoldLine, refunded: int = 0) -> Plan:
    return plan_refund(wish, lines, total_cents=sum(line.gross_cents for line in lines), refunded_cents=refunded)


def test_a_ticket_brings_no_more_than_is_left_of_the_payment():
    pair = line(T1, T2, gross=1_000)
    assert plan(Wish(ticket_ids=[T1]), pair, refunded=499).amount_cents == 500
    last = plan(Wish(ticket_ids=[T1]), pair, refunded=700)
    assert last == Plan(amount_cents=300, voided=[T1, T2], returned={ITEM: 2}, is_all=True)


def test_of_an_item_the_last_tickets_that_are_still_valid_go_first():
    four = line(T1, T2, T3, T4, gross=4_000)
    assert plan(Wish(items={ITEM: 1}), four).voided == [T4]
    assert plan(Wish(items={ITEM: 2}), four).voided == [T4, T3]
    assert plan(Wish(items={ITEM: 1}), line(T1, T2, T3, T4, gross=4_000, void=(T4, T2))).voided == [T3]
    assert plan(Wish(ticket_ids=[T4], items={ITEM: 1}), four).voided == [T4, T3]


def test_a_package_of_an_item_takes_all_of_its_tickets():
    tables = line(T1, T2, T3, T4, gross=2_001, quantity=2, tickets_each=2)
    made = plan(Wish(items={ITEM: 1}), tables)
    # 2,001 over four tickets: 501, 500, 500, 500.
    assert made == Plan(amount_cents=1_000, voided=[T4, T3], returned={ITEM: 1}, is_all=False)


def test_a_ticket_that_is_named_twice_is_refunded_once():
    made = plan(Wish(ticket_ids=[T1, T1]), line(T1, T2, gross=1_000))
    assert made == Plan(amount_cents=500, voided=[T1], returned={ITEM: 1}, is_all=False)


def test_units_without_tickets_are_refunded_from_the_last_to_the_first():
    # 1,001 over three units: 334, 334, 333.
    three: dict[str, Any] = {"gross": 1_001, "quantity": 3, "tickets_each": 0}
    assert plan(Wish(items={ITEM: 1}), line(**three)) == Plan(333, voided=[], returned={ITEM: 1}, is_all=False)
    second = plan(Wish(items={ITEM: 1}), line(**three, returned=1), refunded=333)
    assert second == Plan(334, voided=[], returned={ITEM: 1}, is_all=False)
    with pytest.raises(RefundExceedsPaid) as refused:
        plan(Wish(items={ITEM: 2}), line(**three, returned=2), refunded=667)
    assert refused.value.fields == {"item_id": str(ITEM), "remaining_quantity": 1}


def test_of_an_item_no_more_is_refunded_than_is_valid():
    tables = line(T1, T2, T3, T4, gross=4_000, quantity=2, tickets_each=2, void=(T4,))
    with pytest.raises(RefundExceedsPaid) as refused:
        plan(Wish(items={ITEM: 2}), tables)
    assert refused.value.fields == {"item_id": str(ITEM), "remaining_quantity": 1}


def test_a_package_is_sold_again_once_its_last_ticket_is_given_back_and_once_only():
    table: dict[str, Any] = {"gross": 4_000, "quantity": 2, "tickets_each": 2}
    assert plan(Wish(ticket_ids=[T1]), line(T1, T2, T3, T4, **table)).returned == {}
    assert plan(Wish(ticket_ids=[T2]), line(T1, T2, T3, T4, **table, void=(T1,))).returned == {ITEM: 1}
    assert plan(Wish(ticket_ids=[T3]), line(T1, T2, T3, T4, **table, void=(T1, T2), returned=1)).returned == {}


def test_an_amount_leaves_the_tickets_unless_it_is_all_that_is_left():
    pair = line(T1, T2, gross=1_000)
    assert plan(Wish(amount_cents=999), pair) == Plan(amount_cents=999, voided=[], returned={}, is_all=False)
    everything = Plan(amount_cents=1_000, voided=[T1, T2], returned={ITEM: 2}, is_all=True)
    assert plan(Wish(amount_cents=1_000), pair) == plan(Wish(), pair) == everything
    with pytest.raises(RefundExceedsPaid) as refused:
        plan(Wish(amount_cents=901), pair, refunded=100)
    assert refused.value.fields == {"remaining_cents": 900}


def test_a_line_whose_tickets_are_missing_goes_back_whole_with_the_rest():
    lost = line(gross=500, id=OTHER, quantity=3)
    assert plan(Wish(), line(T1, gross=500), lost) == Plan(
        amount_cents=1_000, voided=[T1], returned={ITEM: 1, OTHER: 3}, is_all=True
    )


def test_nothing_is_refunded_of_what_has_gone_back_or_cost_nothing():
    with pytest.raises(NotRefundable):
        plan(Wish(), line(T1, gross=500), refunded=500)
    with pytest.raises(NotRefundable):
        plan(Wish(ticket_ids=[T2]), line(T1, gross=500), line(T2, gross=0, id=OTHER))


@pytest.mark.parametrize(
    ("wish", "pointer"),
    [
        (Wish(ticket_ids=[T1, T3]), "/ticket_ids/1"),
        (Wish(ticket_ids=[T2]), "/ticket_ids/0"),
        (Wish(items={ITEM: 1, OTHER: 1}), "/items/1/item_id"),
    ],
)
def test_what_the_order_does_not_have_is_named_by_its_place(wish, pointer):
    with pytest.raises(InvalidInput) as refused:
        plan(wish, line(T1, T2, gross=1_000, void=(T2,)))
    assert [fault.pointer for fault in refused.value.faults] == [pointer]
