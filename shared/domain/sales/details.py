"""A package's purchases, one by one (R-SALES-2): the newest first, and stable under new sales.

A page is read by its place in the order of sale, not by counting rows: a cursor goes on exactly where the page before
ended, whatever has been sold meanwhile.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.domain.catalog.errors import NoSuchPackage
from shared.domain.catalog.queries import get_event, unknown_packages
from shared.domain.sales.schemas import DetailsQuery, GuestOut, PurchaseOut, SalesDetails
from shared.kit import cursors

_FROM = """
  FROM order_items i
  JOIN orders o ON o.event_id = i.event_id AND o.id = i.order_id
 WHERE i.event_id = :event_id AND i.package_id = :package_id
   AND o.status IN ('paid', 'partially_refunded', 'refunded')
   AND (CAST(:pattern AS text) IS NULL OR o.customer_name ILIKE :pattern OR o.customer_email ILIKE :pattern)
"""
_COUNT = text(f"SELECT count(*) {_FROM}")
_PAGE = text(
    f"""
    SELECT i.id, o.id AS order_id, o.number AS order_number, o.status, o.customer_name AS name,
           o.customer_email AS email, o.created_at AS purchased_at, i.quantity, o.promo_code, i.discount_cents,
           i.total_cents + i.fee_cents + i.tax_cents AS final_price_cents
    {_FROM}
       AND (CAST(:before AS timestamptz) IS NULL OR (o.created_at, i.id) < (:before, :before_id))
     ORDER BY o.created_at DESC, i.id DESC LIMIT :size OFFSET :skip
    """
)
_GUESTS = text(
    """
    SELECT t.order_item_id, t.number AS ticket_number, t.status, t.holder_name AS name, t.holder_email AS email
      FROM tickets t
     WHERE t.event_id = :event_id AND t.order_item_id = ANY(:item_ids) AND t.status <> 'reserved' ORDER BY t.number
    """
)


def get_details(session: Session, event_id: UUID, package_id: UUID, query: DetailsQuery) -> SalesDetails:
    """The package's purchases, three statements however many; raises `NoSuchEvent`, `NoSuchPackage`."""
    event = get_event(session, event_id)
    if unknown_packages(session, event_id, [package_id]):
        raise NoSuchPackage
    before, before_id = _read(query.cursor)
    which: dict[str, Any] = {"event_id": event_id, "package_id": package_id, "pattern": _pattern(query.q)}
    place = {
        "before": before,
        "before_id": before_id,
        "size": query.page_size + 1,  # one more than is shown tells whether there is a next page
        "skip": 0 if before else (query.page - 1) * query.page_size,
    }
    rows = list(session.execute(_PAGE, which | place).mappings())
    shown = rows[: query.page_size]
    guests: dict[UUID, list[GuestOut]] = {row["id"]: [] for row in shown}
    if shown:
        for guest in session.execute(_GUESTS, {"event_id": event_id, "item_ids": list(guests)}).mappings():
            guests[guest["order_item_id"]].append(GuestOut.model_validate(dict(guest)))
    return SalesDetails(
        package_id=package_id,
        currency=event.currency,
        items=[PurchaseOut.model_validate({**row, "guests": guests[row["id"]]}) for row in shown],
        page=query.page,
        page_size=query.page_size,
        total=session.scalar(_COUNT, which) or 0,
        next_cursor=_written(shown[-1]["purchased_at"], shown[-1]["id"]) if len(rows) > len(shown) else None,
    )


def _pattern(q: str | None) -> str | None:
    """Match `q` anywhere, its own signs as they stand."""
    if q is None:
        return None
    plain = q.strip().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{plain}%"


def _written(moment: datetime, item_id: UUID) -> str:
    return cursors.written([moment, item_id])


def _read(cursor: str | None) -> tuple[datetime | None, UUID | None]:
    if cursor is None:
        return None, None
    try:
        moment, item_id = cursors.read(cursor)
        return datetime.fromisoformat(moment), UUID(item_id)
    except (ValueError, TypeError, AttributeError):
        raise cursors.not_ours() from None
