"""The sales summary: computed from the database, cached for a moment."""

from datetime import datetime, timedelta
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.domain.access.errors import NoSuchEvent
from shared.domain.sales.schemas import SalesSummary
from shared.kit.cache import cache

# A sale shows within 3 seconds (R-SALES-2): what is older than this is computed anew, whatever the cache holds.
FRESH = timedelta(seconds=2)
_KEEP_SECONDS = 90

_SUMMARY = text(
    """
    SELECT e.currency,
           coalesce(sold.revenue, 0) AS total_revenue_cents, coalesce(sold.discount, 0) AS total_discount_cents,
           coalesce(sold.refunded, 0) AS total_refunded_cents, coalesce(sold.orders, 0) AS orders,
           coalesce(stock.packages, 0) AS packages_sold, coalesce(sold.tickets, 0) AS tickets_sold,
           coalesce(stock.sold_out, 0) AS packages_sold_out
      FROM events e
      CROSS JOIN LATERAL (
        SELECT sum(i.total_cents)::bigint AS revenue, sum(i.discount_cents)::bigint AS discount,
               count(DISTINCT o.id) AS orders,
               sum(i.quantity * i.seats_per_package)::bigint AS tickets,
               (SELECT sum(r.refunded_cents)::bigint FROM orders r WHERE r.event_id = e.id) AS refunded
          FROM order_items i
          JOIN orders o ON o.event_id = i.event_id AND o.id = i.order_id
          JOIN ticket_packages p ON p.event_id = i.event_id AND p.id = i.package_id
         WHERE i.event_id = e.id AND o.status IN ('paid', 'partially_refunded', 'refunded')
           AND (p.is_sponsorship OR NOT :sponsorships_only)
      ) AS sold
      CROSS JOIN LATERAL (
        SELECT sum(s.sold)::bigint AS packages,
               count(*) FILTER (WHERE s.held + s.sold >= s.quantity_limit) AS sold_out
          FROM package_stock s
          JOIN ticket_packages p ON p.event_id = s.event_id AND p.id = s.package_id
         WHERE s.event_id = e.id AND (p.is_sponsorship OR NOT :sponsorships_only)
      ) AS stock
     WHERE e.id = :event_id
    """
)


def summary_key(event_id: UUID, *, sponsorships_only: bool) -> str:
    """The cache's key of a summary."""
    return f"sales-summary:{event_id}:{'sponsorships' if sponsorships_only else 'all'}"


def get_summary(session: Session, event_id: UUID, *, sponsorships_only: bool, now: datetime) -> SalesSummary:
    """The event's sales, at most `FRESH` old; raises `NoSuchEvent`."""
    cached = cache().get(summary_key(event_id, sponsorships_only=sponsorships_only))
    if cached is not None:
        try:
            summary = SalesSummary.model_validate_json(cached)
        except ValidationError:  # written by another version of the app, say
            summary = None
        if summary is not None and now - summary.as_of < FRESH:
            return summary
    return refresh_summary(session, event_id, sponsorships_only=sponsorships_only, now=now)


def refresh_summary(session: Session, event_id: UUID, *, sponsorships_only: bool, now: datetime) -> SalesSummary:
    """Compute the summary and put it into the cache; raises `NoSuchEvent`."""
    row = session.execute(_SUMMARY, {"event_id": event_id, "sponsorships_only": sponsorships_only}).one_or_none()
    if row is None:
        raise NoSuchEvent
    summary = SalesSummary.model_validate({**row._mapping, "as_of": now})  # noqa: SLF001 - SQLAlchemy's public name
    key = summary_key(event_id, sponsorships_only=sponsorships_only)
    cache().put(key, summary.model_dump_json().encode(), seconds=_KEEP_SECONDS)
    return summary
