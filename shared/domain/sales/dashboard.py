"""The dashboard: how the sale goes, and what needs attention (R-SALES-5, R-SALES-6).

Clients poll it, so it never reads all orders. Today's orders are read by each poll that finds nothing fresh in the
cache. Orders of the days before hardly change any more, and are read once an hour. How many packages are sold comes
from the stock's own rows. While one poll computes a part again, the other polls get the old values.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import ValidationError
from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from shared.domain.catalog.queries import get_event
from shared.domain.catalog.schemas import EventOut
from shared.domain.messaging.kinds import KINDS
from shared.domain.messaging.message_kind import Queue
from shared.domain.sales.dashboard_schemas import (
    Dashboard,
    DaySales,
    DaysPart,
    HourSales,
    PackageSales,
    PackageToday,
    Problems,
    PromoCodeSales,
    RefundSums,
    Sales,
    SumsPart,
)
from shared.kit.cache import cache
from shared.kit.outbox.retrying import ATTEMPTS_AT_MOST

FRESH = timedelta(seconds=2)
SUMS_FRESH = timedelta(minutes=2)
DAYS_FRESH = timedelta(hours=1)
DAYS = 7
_EMAILS = [kind.name for kind in KINDS if kind.queue is Queue.EMAIL]
_COMPUTED_WITHIN_SECONDS = 15.0  # as long as a statement may take

# One SELECT for each day: so PostgreSQL can read them in parallel, and need not turn any time into a date.
_OF_A_DAY = """
    SELECT CAST(:day_{n} AS date) AS day, count(*) AS orders,
           coalesce(sum(o.subtotal_cents - o.discount_cents), 0)::bigint AS revenue_cents,
           coalesce(sum(o.discount_cents), 0)::bigint AS discount_cents
      FROM orders o WHERE o.event_id = :event_id AND o.created_at >= :begin_{n} AND o.created_at < :begin_{next}
       AND o.status IN ('paid', 'partially_refunded', 'refunded')
"""
_BY_DAY = text(" UNION ALL ".join(_OF_A_DAY.format(n=n, next=n + 1) for n in range(DAYS - 1)))
_BY_HOUR = text(
    """
    SELECT extract(hour FROM o.created_at AT TIME ZONE :zone)::int AS hour, count(*) AS orders,
           sum(o.subtotal_cents - o.discount_cents)::bigint AS revenue_cents,
           sum(o.discount_cents)::bigint AS discount_cents
      FROM orders o WHERE o.event_id = :event_id AND o.created_at >= :since AND o.created_at < :until
       AND o.status IN ('paid', 'partially_refunded', 'refunded')
     GROUP BY 1 ORDER BY 1
    """
)
_BY_PACKAGE = text(
    """
    SELECT p.id AS package_id, p.name, s.sold AS sold_count, s.held AS held_count, s.quantity_limit,
           CASE WHEN s.quantity_limit IS NOT NULL THEN greatest(s.quantity_limit - s.held - s.sold, 0) END AS remaining
      FROM ticket_packages p
      JOIN stock s ON s.event_id = p.event_id AND s.id = p.id
     WHERE p.event_id = :event_id ORDER BY p.display_order LIMIT 200
    """
)
_TODAY_BY_PACKAGE = text(
    """
    SELECT i.package_id, sum(i.quantity)::bigint AS today_count, sum(i.total_cents)::bigint AS today_revenue_cents
      FROM orders o JOIN order_items i ON i.event_id = o.event_id AND i.order_id = o.id
     WHERE o.event_id = :event_id AND o.created_at >= :since AND o.created_at < :until
       AND o.status IN ('paid', 'partially_refunded', 'refunded')
     GROUP BY i.package_id
    """
)
_BY_CODE = text(
    """
    SELECT c.code, s.uses, s.max_uses,
           (SELECT coalesce(sum(u.discount_cents), 0)::bigint FROM promo_code_uses u
             WHERE u.event_id = c.event_id AND u.promo_code_id = c.id AND u.returned_at IS NULL) AS discount_cents
      FROM promo_codes c JOIN promo_code_stock s ON s.event_id = c.event_id AND s.promo_code_id = c.id
     WHERE c.event_id = :event_id AND s.uses > 0 ORDER BY s.uses DESC, c.code LIMIT 50
    """
)
_REFUNDS = text(
    """
    SELECT count(*) AS refunds, coalesce(sum(amount_cents), 0)::bigint AS amount_cents,
           count(*) FILTER (WHERE status = 'pending') AS pending
      FROM refunds WHERE event_id = :event_id
    """
)
# Each count uses an index that holds only the rows in question.
_PROBLEMS = text(
    """
    SELECT (SELECT count(*) FROM orders WHERE event_id = :event_id AND status = 'pending') AS orders_pending,
           (SELECT count(*) FROM refunds WHERE event_id = :event_id AND status = 'failed') AS refunds_failed,
           (SELECT count(*) FROM payments WHERE event_id = :event_id AND disputed_at IS NOT NULL) AS payments_disputed,
           m.failed AS emails_failed, m.failing AS emails_failing, r.checked_at AS books_checked_at,
           coalesce((SELECT sum(value::bigint) FROM jsonb_each_text(r.findings)), 0)::bigint AS book_findings
      FROM (SELECT count(*) FILTER (WHERE attempts >= :tried) AS failed,
                   count(*) FILTER (WHERE attempts < :tried) AS failing
              FROM outbox
             WHERE event_id = :event_id AND done_at IS NULL AND last_error IS NOT NULL AND kind = ANY(:emails)) AS m
      LEFT JOIN reconciliations r ON r.event_id = :event_id
    """
)


def get_dashboard(session: Session, event_id: UUID, *, now: datetime) -> Dashboard:
    """Return the event's dashboard, at most `FRESH` old; raises `NoSuchEvent`.

    The days before today are at most `DAYS_FRESH` old, the sums at most `SUMS_FRESH`.
    """
    event = get_event(session, event_id)
    zone = event.timezone
    today = now.astimezone(ZoneInfo(zone)).date()
    which = f"{event_id}:{zone}:{today}"

    def whole() -> Dashboard:
        days = _cached(
            f"dashboard-days:{which}", DaysPart, lambda: _days(session, event_id, zone, today, now), DAYS_FRESH, now
        )
        sums = _cached(
            f"dashboard-sums:{which}", SumsPart, lambda: _sums(session, event_id, zone, today, now), SUMS_FRESH, now
        )
        return _whole(session, event, today, days, sums, now=now)

    return _cached(f"dashboard:{which}", Dashboard, whole, FRESH, now)


def _cached[Part: (DaysPart, SumsPart, Dashboard)](
    key: str, kind: type[Part], compute: Callable[[], Part], fresh: timedelta, now: datetime
) -> Part:
    kept = cache().get(key)
    known = None
    if kept is not None:
        with suppress(ValidationError):  # perhaps another version of the app wrote it
            known = kind.model_validate_json(kept)
    if known is not None:
        if now - known.as_of < fresh:
            return known
        if not cache().claim(f"{key}:computing", seconds=_COMPUTED_WITHIN_SECONDS):
            return known
    part = compute()
    seconds = 2 * fresh.total_seconds() + _COMPUTED_WITHIN_SECONDS
    cache().put(key, part.model_dump_json().encode(), seconds=seconds)
    cache().drop(f"{key}:computing")
    return part


def _days(session: Session, event_id: UUID, zone: str, today: date, now: datetime) -> DaysPart:
    days = [today - timedelta(days=DAYS - 1 - number) for number in range(DAYS)]
    which = {f"day_{n}": day for n, day in enumerate(days[:-1])}
    begins = {f"begin_{n}": _midnight(day, zone) for n, day in enumerate(days)}
    sold = _rows(session, _BY_DAY, {"event_id": event_id} | which | begins)
    sold.sort(key=lambda row: row["day"])
    return DaysPart(days=[DaySales.model_validate(row) for row in sold], as_of=now)


def _sums(session: Session, event_id: UUID, zone: str, today: date, now: datetime) -> SumsPart:
    tomorrow = _midnight(today + timedelta(days=1), zone)
    which = {"event_id": event_id, "since": _midnight(today, zone), "until": tomorrow}
    [refunds] = _rows(session, _REFUNDS, which)
    return SumsPart(
        packages_today=[PackageToday.model_validate(row) for row in _rows(session, _TODAY_BY_PACKAGE, which)],
        promo_codes=[PromoCodeSales.model_validate(row) for row in _rows(session, _BY_CODE, which)],
        refunds=RefundSums.model_validate(refunds),
        as_of=now,
    )


def _whole(
    session: Session, event: EventOut, today: date, days: DaysPart, sums: SumsPart, *, now: datetime
) -> Dashboard:
    zone = event.timezone
    tomorrow = _midnight(today + timedelta(days=1), zone)
    span = {"event_id": event.id, "zone": zone, "since": _midnight(today, zone), "until": tomorrow}
    hours = [HourSales.model_validate(row) for row in _rows(session, _BY_HOUR, span)]
    of_today = _sum(hours)
    [problems] = _rows(session, _PROBLEMS, {"event_id": event.id, "tried": ATTEMPTS_AT_MOST, "emails": _EMAILS})
    none = {"today_count": 0, "today_revenue_cents": 0}
    sold_today = {each.package_id: dict(each) for each in sums.packages_today}
    packages = [
        PackageSales.model_validate(none | sold_today.get(row["package_id"], {}) | row)
        for row in _rows(session, _BY_PACKAGE, span)
    ]
    week = [*days.days, DaySales(day=today, **dict(of_today))]
    return Dashboard(
        currency=event.currency,
        timezone=zone,
        today=of_today,
        last_7_days=_sum(week),
        days=week,
        hours=hours,
        packages=packages,
        promo_codes=sums.promo_codes,
        refunds=sums.refunds,
        problems=Problems.model_validate(problems),
        days_as_of=days.as_of,
        sums_as_of=sums.as_of,
        as_of=now,
    )


def _rows(session: Session, statement: TextClause, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in session.execute(statement, dict(parameters)).mappings()]


def _sum(parts: list[DaySales] | list[HourSales]) -> Sales:
    sums: Counter[str] = Counter()
    for part in parts:
        sums.update({name: getattr(part, name) for name in Sales.model_fields})
    return Sales.model_validate({name: sums[name] for name in Sales.model_fields})


def _midnight(day: date, zone: str) -> datetime:
    """Return when a day begins in the event's time zone."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
