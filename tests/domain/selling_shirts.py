"""T-shirts, sold only while this program runs: it shows all that a new kind of order line needs.

It is a separate program, because a kind must be registered before the list is read. It prints the results.
"""

import json
import sys
import uuid
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.orders.lines import kinds
from shared.domain.orders.lines.charges import Rates
from shared.domain.orders.lines.offers import EventTerms, LineKind, Offer, Offers
from shared.domain.orders.lines.packages import PACKAGE
from shared.kit.errors import Conflict, InvalidInput, Refusal

TABLE = """
CREATE TABLE shirts (
  event_id uuid, id uuid, name text NOT NULL, price_cents bigint NOT NULL, PRIMARY KEY (event_id, id),
  FOREIGN KEY (event_id, id) REFERENCES stock (event_id, id));
ALTER TABLE order_items ADD COLUMN shirt_id uuid,
  ADD CONSTRAINT fk_order_items_event_id_shirt_id FOREIGN KEY (event_id, shirt_id) REFERENCES shirts (event_id, id),
  ADD CONSTRAINT ck_order_items_sells_a_shirt CHECK ((kind = 'shirt') = (shirt_id IS NOT NULL));
"""
READ = """
SELECT e.status, e.currency, s.id, s.name, s.price_cents, k.terms, k.quantity_limit - k.held - k.sold
  FROM events e LEFT JOIN shirts s ON s.event_id = e.id AND s.id = ANY(%s)
  LEFT JOIN stock k ON k.event_id = s.event_id AND k.id = s.id
 WHERE e.id = %s
"""


class UnknownShirt(InvalidInput):
    """This event sells no such T-shirt."""

    code = "unknown_shirt"


class ShirtNotOnSale(Conflict):
    """The T-shirt can't be bought now."""

    code = "shirt_not_on_sale"


def read_shirts(
    connection: psycopg.Connection[Any], event_id: UUID, ids: Collection[UUID]
) -> tuple[EventTerms | None, Offers]:
    rows = connection.execute(READ, [list(ids), event_id]).fetchall()
    if not rows:
        return None, {}
    event = EventTerms(rows[0][0], rows[0][1], None, timedelta(minutes=15))
    return event, {row[2]: _offer(*row[2:]) for row in rows if row[2]}


def _offer(id_: UUID, name: str, price_cents: int, terms: int, remaining: int) -> Offer:
    taxed = Rates(tax_percent=Decimal(10))
    return Offer(SHIRT, id_, name, price_cents, tickets_each=0, remaining=remaining, terms=terms, rates=taxed)


SHIRT = LineKind("shirt", "shirt_id", "shirts", read_shirts, UnknownShirt, ShirtNotOnSale)
kinds.KINDS = (*kinds.KINDS, SHIRT)

# From here on the application knows shirts.
from shared.domain.ledger.reconciling import check_books  # noqa: E402
from shared.domain.orders.placing.basket import Basket, Customer, Wanted  # noqa: E402
from shared.domain.orders.placing.commands import place  # noqa: E402
from shared.domain.payments.provider import Facts, PaymentStatus  # noqa: E402
from shared.domain.payments.refund_rules import Wish  # noqa: E402
from shared.domain.promotions.redeeming import customer_of  # noqa: E402
from shared.domain.reports.csv_file import CsvExport  # noqa: E402
from shared.domain.reports.kinds.all import KINDS as REPORTS  # noqa: E402
from shared.domain.sales.queries import refresh_summary  # noqa: E402
from shared.domain.stock.commands import add_stock  # noqa: E402
from shared.kit.db.idempotency import Idempotency  # noqa: E402
from tests.harness.desk import NOW, ONLINE, Desk  # noqa: E402


@dataclass
class Shop:
    """A desk that sells seats at 10.00 and shirts at 20.00 plus 10 % tax; there are five shirts."""

    desk: Desk
    seat: UUID
    shirt: UUID

    def buy(self, *, seats: int, shirts: int, method: str = "card", now: Any = NOW) -> tuple[Any, dict[str, UUID]]:
        """Place an order; return its draft, and the ids of its lines by kind."""
        email = f"{uuid.uuid4().hex}@example.com"
        wanted = [Wanted(PACKAGE, self.seat, seats)] if seats else []
        wanted += [Wanted(SHIRT, self.shirt, shirts)] if shirts else []
        basket = Basket(Customer("Bo", email, None, None, customer_of(None, email)), wanted, None, method)
        key = Idempotency(self.desk.event_id, uuid.uuid4().bytes * 2, bytes(32))
        draft, _ = place(self.desk.connection, self.desk.event_id, basket, channel=ONLINE, idempotency=key, now=now)
        return draft, {line.priced.offer.kind.name: line.id for line in draft.lines}

    def pay(self, draft: Any, *, now: Any = NOW) -> None:
        reference = f"test_{uuid.uuid4().hex}"
        order = (self.desk.event_id, draft.id)
        begun = Facts(reference, PaymentStatus.CREATED, order=order, amount_cents=draft.amounts.total, currency="USD")
        self.desk.hear(begun, now=now)
        self.desk.hear(replace(begun, status=PaymentStatus.SUCCEEDED), now=now)

    def stock(self) -> list[tuple[int, int]]:
        """How many seats, and how many shirts, are held and sold."""
        return [self.desk.stock(self.seat), self.desk.stock(self.shirt)]

    def findings(self) -> list[str]:
        return [found.detail for found in check_books(self.desk.connection, self.desk.event_id, now=NOW).findings]

    def report(self, kind: str) -> list[str]:
        export = CsvExport(self.desk.connection, REPORTS[kind], self.desk.event_id)
        return b"".join(export).decode().splitlines()[1:]


def refused(attempt: Any) -> list[Any]:
    try:
        attempt()
    except Refusal as refusal:
        return [refusal.code, refusal.fields]
    return ["accepted"]


def sell(database_url: str) -> dict[str, Any]:
    """All that may happen to a shirt."""
    desk = Desk(database_url, currency="USD")
    with desk.connection.transaction():
        desk.connection.execute(TABLE)
    shirt = uuid.uuid4()
    with desk.session() as session:
        add_stock(session, desk.event_id, shirt, kind="shirt", quantity_limit=5)
    row = [desk.event_id, shirt, "T-shirt", 2_000]
    desk.connection.execute("INSERT INTO shirts VALUES (%s, %s, %s, %s)", row)
    shop = Shop(desk, desk.package(quantity_limit=10), shirt)
    told: dict[str, Any] = {}

    kept, lines = shop.buy(seats=2, shirts=3)
    told["amounts"] = [kept.amounts.subtotal, kept.amounts.tax, kept.amounts.total]
    told["held"] = shop.stock()
    told["too many"] = refused(lambda: shop.buy(seats=1, shirts=3))
    told["no such"] = refused(lambda: replace(shop, shirt=shop.seat).buy(seats=0, shirts=1))
    shop.pay(kept)
    told["paid"] = shop.stock()
    desk.refund(kept.id, Wish(items={lines["shirt"]: 2}))
    given_back = desk.value("SELECT refunded_cents FROM orders WHERE id = %s", kept.id)
    void = desk.value("SELECT count(*) FROM tickets WHERE status = 'void'")
    told["two shirts back"] = [given_back, void, shop.stock(), desk.status(kept.id)]
    told["three more back"] = refused(lambda: desk.refund(kept.id, Wish(items={lines["shirt"]: 2})))

    late, _ = shop.buy(seats=0, shirts=4)
    desk.expire(now=NOW + timedelta(hours=1))
    told["expired"] = shop.stock()
    shop.pay(late, now=NOW + timedelta(hours=2))
    told["paid late"] = [shop.stock(), desk.status(late.id)]
    desk.refund(late.id)
    told["all back"] = [shop.stock(), desk.status(late.id)]

    given_up, _ = shop.buy(seats=1, shirts=1)
    desk.cancel(given_up.id)
    told["given up"] = shop.stock()

    told["findings"] = shop.findings()
    with desk.session() as session:
        summary = refresh_summary(session, desk.event_id, sponsorships_only=False, now=NOW)
    told["summary"] = [summary.total_revenue_cents, summary.total_tax_cents, summary.tickets_sold, summary.orders]
    told["sales report"] = sorted(line.split(",")[0] + "," + line.split(",")[-1] for line in shop.report("sales"))
    told["orders report"] = sorted(line.split(",")[8] for line in shop.report("orders"))
    desk.connection.execute("UPDATE stock SET sold = sold + 1 WHERE id = %s", [shirt])
    told["stolen"] = shop.findings()
    desk.close()
    return told


if __name__ == "__main__":
    print(json.dumps(sell(sys.argv[1]), default=str))
