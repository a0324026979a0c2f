"""The sales summary, computed from the database and cached for a short time."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from psycopg.rows import dict_row
from pydantic import ValidationError
from sqlalchemy.orm import Session

from shared.domain.access.errors import NoSuchEvent
from shared.domain.catalog.errors import NoSuchPackage
from shared.domain.messaging.queries import events_with_news
from shared.domain.orders.states import SOLD, State
from shared.domain.sales.schemas import SalesCount, SalesSummary
from shared.kit.cache import cache
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork, driver_connection

# A sale shows within 3 seconds (R-SALES-2): a summary older than this is computed again, even if it is in the cache.
FRESH = timedelta(seconds=2)
_KEEP_SECONDS = 90
_LATELY = timedelta(seconds=150)
# The summaries that this process returned last. They save polls the way to Redis, and have the same maximum age.
_SEEN_AT_MOST = 500
_seen: dict[tuple[UUID, bool], SalesSummary] = {}

_UNSOLD = ", ".join(f"'{state}'" for state in State if state not in SOLD | {State.REFUNDED})
SOLD_ITEMS = f"""order_items i
 WHERE i.event_id = %(event_id)s
   AND NOT EXISTS (SELECT FROM orders o WHERE o.event_id = %(event_id)s AND o.id = i.order_id
                      AND o.status IN ({_UNSOLD}))"""
"""The event's purchases. Order lines that are no purchase are rare, and an index finds their orders; so the query reads
orders only for these."""

# Each part names the id of the event: without it the planner does not know how many rows the event has.
_SUMMARY = """
    SELECT e.currency,
           coalesce(sold.revenue, 0) AS total_revenue_cents, coalesce(sold.discount, 0) AS total_discount_cents,
           coalesce(sold.fees, 0) AS total_fee_cents, coalesce(sold.taxes, 0) AS total_tax_cents,
           coalesce(sold.tickets, 0) AS tickets_sold,
           (SELECT coalesce(sum(r.refunded_cents), 0)::bigint FROM orders r
             WHERE r.event_id = %(event_id)s AND r.status IN ('partially_refunded', 'refunded'))
             AS total_refunded_cents,
           CASE WHEN %(sponsorships_only)s THEN sold.orders
                ELSE (SELECT count(*) FROM orders o WHERE o.event_id = %(event_id)s
                         AND o.status IN ('paid', 'partially_refunded', 'refunded')) END AS orders,
           coalesce(stock.packages, 0) AS packages_sold, coalesce(stock.sold_out, 0) AS packages_sold_out
      FROM events e
      CROSS JOIN (
        SELECT sum(i.total_cents)::bigint AS revenue, sum(i.discount_cents)::bigint AS discount,
               count(DISTINCT i.order_id) FILTER (WHERE %(sponsorships_only)s) AS orders,
               sum(i.fee_cents + i.included_fee_cents)::bigint AS fees,
               sum(i.tax_cents + i.included_tax_cents)::bigint AS taxes,
               sum((i.quantity - i.returned) * i.seats_per_package)::bigint AS tickets
          FROM {sold_items}
           AND (NOT %(sponsorships_only)s OR i.package_id IN (
               SELECT p.id FROM ticket_packages p WHERE p.event_id = %(event_id)s AND p.is_sponsorship))
      ) AS sold
      CROSS JOIN (
        SELECT sum(s.sold)::bigint AS packages,
               count(*) FILTER (WHERE s.held + s.sold >= s.quantity_limit) AS sold_out
          FROM stock s
          JOIN ticket_packages p ON p.event_id = s.event_id AND p.id = s.id
         WHERE s.event_id = %(event_id)s AND (p.is_sponsorship OR NOT %(sponsorships_only)s)
      ) AS stock
     WHERE e.id = %(event_id)s
"""


def summary_key(event_id: UUID, *, sponsorships_only: bool) -> str:
    """Return the cache's key of a summary."""
    return f"sales-summary:{event_id}:{'sponsorships' if sponsorships_only else 'all'}"


def seen_summary(event_id: UUID, *, sponsorships_only: bool, now: datetime) -> SalesSummary | None:
    """Return the summary that this process returned last if it is at most `FRESH` old; this needs no other service."""
    summary = _seen.get((event_id, sponsorships_only))
    return summary if summary is not None and now - summary.as_of < FRESH else None


def get_summary(session: Session, event_id: UUID, *, sponsorships_only: bool, now: datetime) -> SalesSummary:
    """Return the event's sales, at most `FRESH` old; raises `NoSuchEvent`."""
    key = (event_id, sponsorships_only)
    summary = seen_summary(event_id, sponsorships_only=sponsorships_only, now=now) or _cached_summary(*key)
    if summary is None or now - summary.as_of >= FRESH:
        summary = refresh_summary(session, event_id, sponsorships_only=sponsorships_only, now=now)
    if len(_seen) >= _SEEN_AT_MOST:
        _seen.clear()
    _seen[key] = summary
    return summary


def _cached_summary(event_id: UUID, sponsorships_only: bool) -> SalesSummary | None:  # noqa: FBT001 - a part of the key
    cached = cache().get(summary_key(event_id, sponsorships_only=sponsorships_only))
    try:
        return None if cached is None else SalesSummary.model_validate_json(cached)
    except ValidationError:  # perhaps another version of the app wrote it
        return None


def refresh_summary(session: Session, event_id: UUID, *, sponsorships_only: bool, now: datetime) -> SalesSummary:
    """Compute the summary and put it into the cache; raises `NoSuchEvent`."""
    which = {"event_id": event_id, "sponsorships_only": sponsorships_only}
    with driver_connection(session).cursor(row_factory=dict_row) as cursor:
        # Planned for this event alone: a plan for all events would read whole tables even for a small event.
        row = cursor.execute(_SUMMARY.format(sold_items=SOLD_ITEMS).encode(), which, prepare=False).fetchone()
    if row is None:
        raise NoSuchEvent
    summary = SalesSummary.model_validate(row | {"as_of": now})
    key = summary_key(event_id, sponsorships_only=sponsorships_only)
    cache().put(key, summary.model_dump_json().encode(), seconds=_KEEP_SECONDS)
    return summary


def warm_summaries(*, now: datetime) -> int:
    """Refresh the cached summaries of the events in which something was sold or refunded lately; returns how many.

    "Lately" covers more than the time between two runs of the timer. If runs were missed, older summaries have left the
    cache, and are computed at the next request.
    """
    with UnitOfWork(read_only=True) as unit_of_work:
        session = unit_of_work.session
        event_ids = events_with_news(session, since=now - _LATELY)
        for event_id in event_ids:
            for sponsorships_only in (False, True):
                refresh_summary(session, event_id, sponsorships_only=sponsorships_only, now=utc_now())
    return len(event_ids)


_COUNTS = """
    SELECT s.id, s.sold, coalesce(sold.tickets, 0)
      FROM stock s
      LEFT JOIN (SELECT i.package_id, sum((i.quantity - i.returned) * i.seats_per_package)::bigint AS tickets
                   FROM {sold_items} GROUP BY i.package_id) AS sold ON sold.package_id = s.id
     WHERE s.event_id = %(event_id)s AND s.kind = 'package'
"""
_COUNTS_SECONDS = 5.0


def counts_key(event_id: UUID) -> str:
    """Return the cache's key of how much of each package is sold; a sale drops it after its commit."""
    return f"sales-counts:{event_id}"


def get_count(session: Session, event_id: UUID, package_id: UUID, *, now: datetime) -> SalesCount:
    """Return how much of a package is sold; raises `NoSuchPackage`. If a drop was lost, it is at most `FRESH` old."""
    counts = _cached_counts(event_id, now=now) or _count(session, event_id, now=now)
    found = counts["packages"].get(str(package_id))
    if found is None:
        raise NoSuchPackage
    sold, tickets = found
    as_of = datetime.fromisoformat(counts["as_of"])
    return SalesCount(package_id=package_id, sold_count=sold, tickets_sold=tickets, as_of=as_of)


def _cached_counts(event_id: UUID, *, now: datetime) -> dict[str, Any] | None:
    cached = cache().get(counts_key(event_id))
    if cached is None:
        return None
    counts: dict[str, Any] = orjson.loads(cached)
    return counts if now - datetime.fromisoformat(counts["as_of"]) < FRESH else None


def _count(session: Session, event_id: UUID, *, now: datetime) -> dict[str, Any]:
    """Count all packages of the event at once, because a client that asks for one soon asks for the next."""
    statement = _COUNTS.format(sold_items=SOLD_ITEMS).encode()
    rows = driver_connection(session).execute(statement, {"event_id": event_id}, prepare=False)
    packages = {str(package_id): (sold, tickets) for package_id, sold, tickets in rows}
    counts = {"as_of": now.isoformat(), "packages": packages}
    cache().put(counts_key(event_id), orjson.dumps(counts), seconds=_COUNTS_SECONDS)
    return counts
