"""Orders compared with a simple model: after any events in any sequence, stock, codes, money and books agree.

The domain does every step on a real database, and the model does it in a few lines of Python. After each step the two
must agree (R-ORD-1, R-ORD-2, R-ORD-4, R-ORD-6 to R-ORD-9, R-PROMO-6).
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.domain.catalog.errors import LimitBelowSales
from shared.domain.ledger.reconciling import check_books
from shared.domain.orders.errors import NotCancellable, PackageNotOnSale, SoldOut, TooManyForCustomer
from shared.domain.orders.schemas import PlacedOrderOut
from shared.domain.payments.errors import NotRefundable, RefundExceedsPaid
from shared.domain.payments.provider import Facts, PaymentStatus
from shared.domain.payments.refund_rules import Wish
from shared.domain.promotions.errors import PromoCodeUsedByCustomer, PromoCodeUsedUp
from shared.domain.promotions.redeeming import customer_of
from shared.kit.errors import InvalidInput
from tests.harness.desk import NOW, Desk, know_settings

CUSTOMERS = ("ann@example.com", "bob@example.com")
CODES = {"HALF": (50, 3, 2), "GIFT": (100, 2, None)}  # percent, most uses, most uses of one customer
HOLD = timedelta(minutes=15)
QUANTITIES = st.lists(st.sampled_from([0, 0, 1, 1, 2, 3]), min_size=3, max_size=3).filter(any)
SHORT = (SoldOut, PromoCodeUsedUp, PromoCodeUsedByCustomer, TooManyForCustomer)


@dataclass
class Package:
    price: int
    seats: int
    limit: int | None
    enabled: bool = True
    held: int = 0
    sold: int = 0

    def has(self, quantity: int) -> bool:
        return self.limit is None or self.held + self.sold + quantity <= self.limit


@dataclass
class Item:
    id: UUID
    package_id: UUID
    quantity: int
    shares: list[int]
    """What each ticket cost."""
    live: list[bool]
    returned: int = 0


@dataclass
class Order:
    out: PlacedOrderOut
    customer: str
    code: str | None
    items: list[Item]
    expires_at: datetime
    status: str
    tickets: list[UUID]
    counts_code: bool = False
    refunded: int = 0
    paid_by: str | None = None
    refunded_of_payment: int = 0
    payments: list[str] = field(default_factory=list)

    @property
    def left(self) -> int:
        return self.out.total_cents - self.refunded

    @property
    def live(self) -> int:
        return sum(sum(item.live) for item in self.items)


class Orders(RuleBasedStateMachine):
    """One event with three packages and two codes; `database_url` is set by the test."""

    database_url = ""

    @initialize()
    def open(self) -> None:
        self.now = NOW
        self.desk = Desk(self.database_url, tax_percent=8.25, fee_percent=2.5, fee_cents=30)
        fields = [(1_000, 1, 3), (333, 3, 2), (0, 2, None)]
        self.packages = {
            self.desk.package(price_cents=price, seats_per_package=seats, quantity_limit=limit): Package(
                price, seats, limit
            )
            for price, seats, limit in fields
        }
        self.codes = {
            self.desk.code(code, discount_value=percent, max_total_uses=most, max_uses_per_customer=mine): code
            for code, (percent, most, mine) in CODES.items()
        }
        self.uses: Counter[str] = Counter()
        self.uses_of: Counter[tuple[str, str]] = Counter()
        self.orders: list[Order] = []
        self.limit: int | None = None
        self.returned: dict[str, int] = {}  # money that bought nothing, by payment

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.desk.close()

    # What the model thinks ------------------------------------------------------------------------------------------

    def may_place(self, items: dict[UUID, int], customer: str, code: str | None) -> bool:
        packages = [(self.packages[package_id], quantity) for package_id, quantity in items.items()]
        tickets = sum(package.seats * quantity for package, quantity in packages)
        return (
            all(package.enabled and package.has(quantity) for package, quantity in packages)
            and (code is None or self.may_use(code, customer))
            and (self.limit is None or self.tickets_of(customer) + tickets <= self.limit)
        )

    def may_use(self, code: str, customer: str) -> bool:
        _, most, mine = CODES[code]
        return self.uses[code] < most and (mine is None or self.uses_of[code, customer] < mine)

    def tickets_of(self, customer: str) -> int:
        alive = {"pending", "paid", "partially_refunded"}
        return sum(order.live for order in self.orders if order.customer == customer and order.status in alive)

    def count_code(self, order: Order, step: int) -> None:
        if order.code is not None:
            order.counts_code = step > 0
            self.uses[order.code] += step
            self.uses_of[order.code, order.customer] += step

    def close(self, order: Order, status: str) -> None:
        order.status = status
        for item in order.items:
            self.packages[item.package_id].held -= item.quantity
        self.count_code(order, -1)

    def tidy_up(self) -> None:
        for order in self.orders:
            if order.status == "pending" and order.expires_at <= self.now:
                self.close(order, "expired")

    def succeed(self, order: Order, reference: str) -> None:
        """A payment has succeeded for the first time."""
        if order.status == "pending":
            for item in order.items:
                self.packages[item.package_id].held -= item.quantity
        elif order.status in {"expired", "failed"} and (
            all(self.packages[item.package_id].has(item.quantity) for item in order.items)
            and (order.code is None or self.may_use(order.code, order.customer))
        ):
            self.count_code(order, +1)
        else:
            self.returned[reference] = order.out.total_cents
            return
        for item in order.items:
            self.packages[item.package_id].sold += item.quantity
        order.status, order.paid_by = "paid", reference

    def give_back(self, order: Order, amount: int, dead: list[tuple[Item, int]]) -> None:
        is_all = amount == order.left
        order.refunded += amount
        order.status = "refunded" if is_all else "partially_refunded"
        for item, index in dead:
            item.live[index] = False
        for item in order.items:
            package = self.packages[item.package_id]
            if is_all:
                item.live = [False] * len(item.live)
            free = item.live.count(False) // package.seats
            package.sold -= free - item.returned
            item.returned = free
        if is_all and order.counts_code:
            self.count_code(order, -1)

    def some(self, number: int, *likely: str) -> Order:
        """Draw one of the orders; mostly one in a state in which the next step has an effect."""
        choice = [order for order in self.orders if order.status in likely] if number % 5 else []
        return (choice or self.orders)[number % len(choice or self.orders)]

    # What may happen ------------------------------------------------------------------------------------------------

    @rule(quantities=QUANTITIES, customer=st.sampled_from(CUSTOMERS), code=st.sampled_from([None, *CODES, *CODES]))
    def hold(self, quantities: list[int], customer: str, code: str | None) -> None:
        self.place(quantities, "card", customer, code)

    @rule(quantities=QUANTITIES, customer=st.sampled_from(CUSTOMERS), code=st.sampled_from([None, *CODES, *CODES]))
    def buy(self, quantities: list[int], customer: str, code: str | None) -> None:
        self.place(quantities, "test", customer, code)

    @precondition(lambda self: any(order.status == "pending" for order in self.orders))
    @rule(number=st.integers(0, 50), customer=st.sampled_from(CUSTOMERS))
    def want_what_an_overdue_order_holds(self, number: int, customer: str) -> None:
        order = self.some(number, "pending")
        self.now = max(self.now, order.expires_at)
        wanted = {item.package_id: item.quantity for item in order.items}
        self.place([wanted.get(package_id, 0) for package_id in self.packages], "card", customer, order.code)

    def place(self, quantities: list[int], by: str, customer: str, code: str | None) -> None:
        items = {package: quantity for package, quantity in zip(self.packages, quantities, strict=True) if quantity}
        try:
            out = self.desk.place(items, by=by, email=customer, promo_code=code, now=self.now)
        except PackageNotOnSale:
            assert not self.may_place(items, customer, code)
            return
        except SHORT:
            self.tidy_up()  # as an order that finds too little stock does first
            assert not self.may_place(items, customer, code), "refused though all was there"
            return
        if not self.may_place(items, customer, code):
            self.tidy_up()
        assert self.may_place(items, customer, code), "sold though it was not there"
        lines = [self.item(line) for line in out.items]
        numbers = self.desk.rows(
            "SELECT t.id FROM tickets t JOIN order_items i ON i.id = t.order_item_id"
            " WHERE i.order_id = %s ORDER BY t.number",
            out.id,
        )
        is_paid = by == "test" or out.total_cents == 0
        order = Order(
            out, customer, code, lines, self.now + HOLD, "paid" if is_paid else "pending", [row[0] for row in numbers]
        )
        for item in lines:
            if is_paid:
                self.packages[item.package_id].sold += item.quantity
            else:
                self.packages[item.package_id].held += item.quantity
        self.count_code(order, +1)
        self.orders.append(order)

    def item(self, line: Any) -> Item:
        seats = line.quantity * self.packages[line.package_id].seats
        share, more = divmod(line.total_cents + line.fee_cents + line.tax_cents, seats)
        shares = [share + (index < more) for index in range(seats)]
        return Item(line.id, line.package_id, line.quantity, shares, [True] * seats)

    @precondition(lambda self: self.orders)
    @rule(number=st.integers(0, 50), late=st.booleans())
    def pay(self, number: int, late: bool) -> None:
        order = self.some(number, "pending")
        if late:
            self.now = max(self.now, order.expires_at)
            self.time_passes(1, timer=True)
        if order.out.total_cents:
            reference = self.desk.pay(order.out, now=self.now)
            order.payments.append(reference)
            self.succeed(order, reference)

    @precondition(lambda self: any(order.payments for order in self.orders))
    @rule(number=st.integers(0, 50))
    def hear_of_a_payment_again(self, number: int) -> None:
        payments = [reference for order in self.orders for reference in order.payments]
        self.desk.hear(Facts(payments[number % len(payments)], PaymentStatus.SUCCEEDED), now=self.now)

    @precondition(lambda self: self.returned)
    @rule(number=st.integers(0, 50))
    def hear_that_money_went_back(self, number: int) -> None:
        reference, amount = list(self.returned.items())[number % len(self.returned)]
        self.desk.hear(Facts(reference, refunded_cents=amount), now=self.now)

    @precondition(lambda self: any(order.paid_by for order in self.orders))
    @rule(number=st.integers(0, 50), amount=st.integers(1, 3_000))
    def refund_at_the_provider(self, number: int, amount: int) -> None:
        paid = [order for order in self.orders if order.paid_by]
        order = paid[number % len(paid)]
        assert order.paid_by is not None
        total = order.refunded + amount  # the provider's own sum, which has all refunds that went through it
        self.desk.hear(Facts(order.paid_by, refunded_cents=total), now=self.now)
        more = min(amount, order.left)
        if more > 0 and order.status in {"paid", "partially_refunded"}:
            self.give_back(order, more, [])

    @precondition(lambda self: self.orders)
    @rule(number=st.integers(0, 50))
    def give_a_payment_up(self, number: int) -> None:
        order = self.some(number)
        if order.out.total_cents:
            reference = self.desk.begin_payment(order.out, now=self.now)
            self.desk.hear(Facts(reference, PaymentStatus.CANCELLED), now=self.now)
            if order.status == "pending":
                self.close(order, "failed")

    @rule(minutes=st.sampled_from([1, 15, 15, 60]), timer=st.booleans())
    def time_passes(self, minutes: int, *, timer: bool) -> None:
        self.now += timedelta(minutes=minutes)
        if timer:
            self.desk.expire(now=self.now)
            self.tidy_up()

    @precondition(lambda self: self.orders)
    @rule(number=st.integers(0, 50))
    def cancel(self, number: int) -> None:
        order = self.some(number)
        try:
            self.desk.cancel(order.out.id, now=self.now)
        except NotCancellable:
            free = order.status == "paid" and order.out.total_cents == 0
            assert order.status not in {"pending", "cancelled"}
            assert not free
            return
        if order.status == "pending":
            self.close(order, "cancelled")
        elif order.status == "paid":
            assert order.out.total_cents == 0
            order.status = "cancelled"
            for item in order.items:
                self.packages[item.package_id].sold -= item.quantity
                item.live, item.returned = [False] * len(item.live), item.quantity
            self.count_code(order, -1)

    @precondition(lambda self: self.orders)
    @rule(number=st.integers(0, 50), amount=st.none() | st.integers(1, 4_000))
    def refund_an_amount(self, number: int, amount: int | None) -> None:
        order = self.some(number, "paid", "partially_refunded")
        may = order.status in {"paid", "partially_refunded"} and 0 < (amount or order.left) <= order.left
        try:
            self.desk.refund(order.out.id, Wish(amount_cents=amount), now=self.now)
        except (NotRefundable, RefundExceedsPaid):
            assert not may
            return
        assert may
        self.give_back(order, amount or order.left, [])

    @precondition(lambda self: self.orders)
    @rule(number=st.integers(0, 50), which=st.sets(st.integers(0, 20), min_size=1, max_size=4))
    def refund_tickets(self, number: int, which: set[int]) -> None:
        order = self.some(number, "paid", "partially_refunded")
        seats = [(item, index) for item in order.items for index in range(len(item.live))]
        chosen = sorted({one % len(seats) for one in which})
        dead = [seats[one] for one in chosen]
        amount = min(order.left, sum(item.shares[index] for item, index in dead))
        may = (
            order.status in {"paid", "partially_refunded"}
            and amount > 0
            and all(item.live[index] for item, index in dead)
        )
        try:
            self.desk.refund(order.out.id, Wish(ticket_ids=[order.tickets[one] for one in chosen]), now=self.now)
        except (NotRefundable, InvalidInput):
            assert not may
            return
        assert may
        self.give_back(order, amount, dead)

    @precondition(lambda self: self.orders)
    @rule(number=st.integers(0, 50), which=st.integers(0, 2), quantity=st.integers(1, 2))
    def refund_packages(self, number: int, which: int, quantity: int) -> None:
        order = self.some(number, "paid", "partially_refunded")
        item = order.items[which % len(order.items)]
        seats = quantity * self.packages[item.package_id].seats
        last = [index for index in reversed(range(len(item.live))) if item.live[index]][:seats]
        amount = min(order.left, sum(item.shares[index] for index in last))
        may = order.status in {"paid", "partially_refunded"} and len(last) == seats and amount > 0
        try:
            self.desk.refund(order.out.id, Wish(items={item.id: quantity}), now=self.now)
        except (NotRefundable, RefundExceedsPaid):
            assert not may
            return
        assert may
        self.give_back(order, amount, [(item, index) for index in last])

    @rule(which=st.integers(0, 2), limit=st.none() | st.integers(1, 6))
    def change_the_limit(self, which: int, limit: int | None) -> None:
        package_id, package = list(self.packages.items())[which]
        try:
            self.desk.change_package(package_id, quantity_limit=limit)
        except LimitBelowSales:
            assert limit is not None
            assert limit < package.held + package.sold
            return
        package.limit = limit

    @rule(which=st.integers(0, 2), enabled=st.sampled_from([True, True, False]))
    def enable(self, which: int, enabled: bool) -> None:
        package_id, package = list(self.packages.items())[which]
        self.desk.enable(package_id, enabled=enabled)
        package.enabled = enabled

    @rule(limit=st.none() | st.integers(1, 12))
    def limit_customers(self, limit: int | None) -> None:
        self.desk.change_event(max_tickets_per_customer=limit)
        self.limit = limit

    # What must hold after each step ---------------------------------------------------------------------------------

    @invariant()
    def the_database_says_the_same(self) -> None:
        if not hasattr(self, "desk"):
            return
        event_id = self.desk.event_id
        stock = self.desk.rows("SELECT id, held, sold FROM stock WHERE event_id = %s", event_id)
        assert {row[0]: row[1:] for row in stock} == {id_: (p.held, p.sold) for id_, p in self.packages.items()}
        uses = self.desk.rows("SELECT promo_code_id, uses FROM promo_code_stock WHERE event_id = %s", event_id)
        assert {self.codes[id_]: count for id_, count in uses} == {code: self.uses[code] for code in CODES}
        mine = self.desk.rows(
            "SELECT promo_code_id, customer, uses FROM promo_code_customers WHERE event_id = %s", event_id
        )
        named = {customer_of(None, customer): customer for customer in CUSTOMERS}
        assert {(self.codes[id_], named[customer]): count for id_, customer, count in mine if count} == +self.uses_of
        orders = self.desk.rows(
            """
            SELECT o.id, o.status, o.refunded_cents, array_agg(t.status ORDER BY t.number)
              FROM orders o JOIN order_items i ON i.event_id = o.event_id AND i.order_id = o.id
              JOIN tickets t ON t.event_id = i.event_id AND t.order_item_id = i.id
             WHERE o.event_id = %s GROUP BY o.event_id, o.id
            """,
            event_id,
        )
        assert {row[0]: (row[1], row[2]) for row in orders} == {
            order.out.id: (order.status, order.refunded) for order in self.orders
        }
        assert {row[0]: row[3] for row in orders} == {order.out.id: ticket_states(order) for order in self.orders}

    @invariant()
    def the_books_say_the_same(self) -> None:
        if not hasattr(self, "desk"):
            return
        entries = self.desk.rows(
            "SELECT order_id, debit, credit, amount_cents FROM ledger WHERE event_id = %s", self.desk.event_id
        )
        balances: Counter[tuple[UUID, str]] = Counter()
        for order_id, debit, credit, amount in entries:
            balances[order_id, debit.partition(":")[0]] += amount
            balances[order_id, credit.partition(":")[0]] -= amount
        for order in self.orders:
            was_paid = order.paid_by is not None or order.status in {"paid", "partially_refunded", "refunded"}
            charged = order.out.total_cents if was_paid else 0
            assert balances[order.out.id, "receivable"] == 0
            assert balances[order.out.id, "money"] == charged - order.refunded
            assert balances[order.out.id, "refunds"] == order.refunded
        back = self.desk.rows(
            "SELECT p.reference, r.amount_cents FROM refunds r JOIN payments p ON p.id = r.payment_id"
            " WHERE r.event_id = %s AND r.reason IN ('paid_twice', 'paid_too_late')",
            self.desk.event_id,
        )
        assert dict(back) == self.returned

    @invariant()
    def no_check_finds_anything(self) -> None:
        """Ignore findings that need only time: nobody sends refunds here, and the timer does not always run."""
        if not hasattr(self, "desk"):
            return
        found = check_books(self.desk.connection, self.desk.event_id, now=self.now).findings
        late = self.now - timedelta(minutes=5)
        overdue = {order.out.id for order in self.orders if order.status == "pending" and order.expires_at < late}
        assert {one.order_id for one in found if one.kind == "order_overdue"} == overdue
        assert [one.detail for one in found if one.kind not in {"order_overdue", "refund_stuck"}] == []


def ticket_states(order: Order) -> list[str]:
    alive = "valid" if order.status in {"paid", "partially_refunded", "refunded", "cancelled"} else "reserved"
    if order.status == "cancelled" and order.live:
        alive = "reserved"
    return [alive if live else "void" for item in order.items for live in item.live]


@pytest.fixture
def orders(fresh_database, app_environment):
    know_settings(app_environment)
    return type("OrdersHere", (Orders,), {"database_url": fresh_database})


def test_orders_and_their_model_agree_after_every_step(orders):
    run_state_machine_as_test(orders, settings=settings(max_examples=20, stateful_step_count=30))
