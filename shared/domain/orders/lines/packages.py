"""Ticket packages, as a kind of thing that order lines sell."""

from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.catalog.offers import read_packages
from shared.domain.orders.errors import PackageNotOnSale, UnknownPackage
from shared.domain.orders.lines.answers import Option
from shared.domain.orders.lines.charges import Rates
from shared.domain.orders.lines.offers import EventTerms, LineKind, Offer, Offers

_RATES = tuple(Rates.__dataclass_fields__)
_AS_READ = tuple(Offer.__dataclass_fields__.keys() - {"kind", "tickets_each", "options", "rates"})


def _read(
    connection: psycopg.Connection[Any], event_id: UUID, package_ids: Collection[UUID]
) -> tuple[EventTerms | None, Offers]:
    rows = read_packages(connection, event_id, package_ids)
    if not rows:
        return None, {}
    event = rows[0]
    terms = EventTerms(
        status=event["event_status"],
        currency=event["currency"],
        max_tickets_per_customer=event["max_tickets_per_customer"],
        order_expiry=timedelta(minutes=event["order_expiry_minutes"]),
    )
    return terms, {row["id"]: _offer(row) for row in rows if row["id"]}


def _offer(row: dict[str, Any]) -> Offer:
    options = tuple(
        Option(**{**option, "id": UUID(option["id"]), "choices": tuple(option["choices"])})
        for option in row["options"] or ()
    )
    return Offer(
        kind=PACKAGE,
        tickets_each=row["seats_per_package"],
        options=options,
        rates=Rates(**{name: row[name] for name in _RATES}),
        **{name: row[name] for name in _AS_READ},
    )


PACKAGE = LineKind(
    name="package",
    column="package_id",
    table="ticket_packages",
    read=_read,
    unknown=UnknownPackage,
    not_on_sale=PackageNotOnSale,
)
