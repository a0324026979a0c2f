"""Reads of events and packages."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, tuple_
from sqlalchemy.orm import Session

from shared.domain.access.errors import NoSuchEvent
from shared.domain.access.queries import events_of
from shared.domain.catalog import rules
from shared.domain.catalog.errors import NoSuchPackage
from shared.domain.catalog.models import Event, TicketPackage
from shared.domain.catalog.options import active_options
from shared.domain.catalog.schemas import (
    Availability,
    EventOut,
    OptionOut,
    PackageListQuery,
    PackageOut,
    PublicEventOut,
    PublicPackageListQuery,
    PublicPackageOut,
)
from shared.domain.stock.models import Stock
from shared.kit.actor import Actor
from shared.kit.cache import cache
from shared.kit.pages import Page, PageQuery, cut, total_of
from shared.kit.storage.blobs import PUBLIC, blob_url

LIST_SECONDS = 2.0
"""How long the public list is cached: a sale must show within 3 s, even if the drop did not reach Redis."""
_CACHED_SIZES = (20, 50, 100)


def get_event(session: Session, event_id: UUID) -> EventOut:
    """Return one event; raises `NoSuchEvent`."""
    event = session.get(Event, event_id)
    if event is None:
        raise NoSuchEvent
    return EventOut.model_validate(event)


def list_events(session: Session, actor: Actor, query: PageQuery) -> Page[EventOut]:
    """Return the events whose team the actor belongs to (for a super admin, all events), the next one first."""
    statement = select(Event).order_by(Event.starts_at, Event.id)
    if not actor.is_super_admin:
        statement = statement.where(Event.id.in_(events_of(actor)))
    items = [EventOut.model_validate(event) for event in session.scalars(cut(statement, query))]
    return Page(
        items=items,
        page=query.page,
        page_size=query.page_size,
        total=total_of(session, statement, query, shown=len(items)),
    )


def list_published(session: Session, query: PageQuery) -> Page[PublicEventOut]:
    """Return the published events, the next one first."""
    statement = select(Event).where(Event.status == "published").order_by(Event.starts_at, Event.id)
    items = [PublicEventOut.model_validate(event) for event in session.scalars(cut(statement, query))]
    return Page(
        items=items,
        page=query.page,
        page_size=query.page_size,
        total=total_of(session, statement, query, shown=len(items)),
    )


def get_published(session: Session, slug: str) -> PublicEventOut:
    """Return one published event by its slug; raises `NoSuchEvent`."""
    event = session.scalar(select(Event).where(Event.slug == slug, Event.status == "published"))
    if event is None:
        raise NoSuchEvent
    return PublicEventOut.model_validate(event)


def _packages(event_id: UUID) -> Select[TicketPackage, Stock, str]:
    return (
        select(TicketPackage, Stock, Event.currency)
        .join(
            Stock,
            (Stock.event_id == TicketPackage.event_id) & (Stock.id == TicketPackage.id),
        )
        .join(Event, Event.id == TicketPackage.event_id)
        .where(TicketPackage.event_id == event_id)
    )


def package_fields(package: TicketPackage, stock: Stock, currency: str, options: Sequence[OptionOut]) -> dict[str, Any]:
    """Return every field that one of a package's schemas may show."""
    fields = {column.key: getattr(package, column.key) for column in TicketPackage.__table__.columns}
    left = rules.remaining(stock.quantity_limit, held=stock.held, sold=stock.sold)
    return fields | {
        "currency": currency,
        "custom_options": options,
        "quantity_limit": stock.quantity_limit,
        "sold_count": stock.sold,
        "held_count": stock.held,
        "remaining": left,
        "is_sold_out": left == 0,
        "image_url": blob_url(PUBLIC, package.display_image) if package.display_image else None,
        "thumbnail_url": blob_url(PUBLIC, package.thumbnail_image) if package.thumbnail_image else None,
    }


def _read(session: Session, event_id: UUID, statement: Select[TicketPackage, Stock, str]) -> list[dict[str, Any]]:
    """Return the packages' fields, in two statements for any number of packages."""
    rows = session.execute(statement).all()
    asked = active_options(session, event_id, [row.TicketPackage.id for row in rows]) if rows else {}
    return [package_fields(row.TicketPackage, row.Stock, row.currency, asked[row.TicketPackage.id]) for row in rows]


def get_package(session: Session, event_id: UUID, package_id: UUID) -> PackageOut:
    """Return one package; raises `NoSuchPackage`, also for a package of another event."""
    found = _read(session, event_id, _packages(event_id).where(TicketPackage.id == package_id))
    if not found:
        raise NoSuchPackage
    return PackageOut.model_validate(found[0])


def require_package(session: Session, event_id: UUID, package_id: UUID) -> None:
    """Raise `NoSuchPackage` unless the event has the package."""
    found = session.scalar(
        select(TicketPackage.id).where(TicketPackage.event_id == event_id, TicketPackage.id == package_id)
    )
    if found is None:
        raise NoSuchPackage


def shown_images(session: Session, packages: Collection[tuple[UUID, UUID]]) -> set[str]:
    """Return the names of the blobs that these packages show; each package is given as (event id, package id)."""
    rows = session.execute(
        select(TicketPackage.display_image, TicketPackage.thumbnail_image).where(
            tuple_(TicketPackage.event_id, TicketPackage.id).in_(packages), TicketPackage.display_image.is_not(None)
        )
    )
    return {name for row in rows for name in row}


def get_availability(
    session: Session, event_id: UUID, package_id: UUID, *, now: datetime, for_public: bool = False
) -> Availability:
    """Return whether the package can be bought now, and if not, why.

    Raises `NoSuchPackage`; `for_public`, packages of draft events do not exist.
    """
    row = session.execute(
        _packages(event_id).add_columns(Event.status).where(TicketPackage.id == package_id)
    ).one_or_none()
    if row is None or (for_public and row.status == "draft"):
        raise NoSuchPackage
    package, stock = row.TicketPackage, row.Stock
    reason = rules.why_not_on_sale(
        event_status=row.status,
        is_enabled=package.is_enabled,
        sale_starts_at=package.sale_starts_at,
        sale_ends_at=package.sale_ends_at,
        now=now,
    )
    left = rules.remaining(stock.quantity_limit, held=stock.held, sold=stock.sold)
    can_purchase = reason is None and left != 0
    plenty = "Available." if left is None else f"{left} left."
    return Availability(
        available=can_purchase,
        sold_count=stock.sold,
        held_count=stock.held,
        quantity_limit=stock.quantity_limit,
        remaining=left,
        is_on_sale=reason is None,
        is_sold_out=left == 0,
        can_purchase=can_purchase,
        message=reason or ("Sold out." if left == 0 else plenty),
        percent_sold=None if stock.quantity_limit is None else round(100 * stock.sold / stock.quantity_limit, 1),
    )


def list_packages(session: Session, event_id: UUID, query: PackageListQuery) -> Page[PackageOut]:
    """Return the event's packages in display order, page by page; raises `NoSuchEvent`."""
    _require_event(session, event_id)
    statement = _packages(event_id).order_by(TicketPackage.display_order)
    if query.sponsorships_only:
        statement = statement.where(TicketPackage.is_sponsorship)
    if not query.include_disabled:
        statement = statement.where(TicketPackage.is_enabled)
    items = [PackageOut.model_validate(fields) for fields in _read(session, event_id, cut(statement, query))]
    return Page(
        items=items,
        page=query.page,
        page_size=query.page_size,
        total=total_of(session, statement, query, shown=len(items)),
    )


def all_packages(session: Session, event_id: UUID) -> list[PackageOut]:
    """Return all of the event's packages in display order."""
    statement = _packages(event_id).order_by(TicketPackage.display_order)
    return [PackageOut.model_validate(fields) for fields in _read(session, event_id, statement)]


def package_list_keys(event_id: UUID) -> list[str]:
    """Return the cache's keys of the public list; every change or sale of what it shows drops them after the commit."""
    return [
        _list_key(event_id, page_size, sponsorships_only=only) for page_size in _CACHED_SIZES for only in (False, True)
    ]


def _list_key(event_id: UUID, page_size: int, *, sponsorships_only: bool) -> str:
    return f"packages:{event_id}:{page_size}:{'sponsorships' if sponsorships_only else 'all'}"


def public_package_list(session: Session, event_id: UUID, query: PublicPackageListQuery) -> bytes:
    """Return what `list_public_packages` returns, as JSON; raises `NoSuchEvent`.

    The first page may come from the cache. It is then at most `LIST_SECONDS` old, even if a drop was lost.
    """
    if query.page > 1 or query.page_size not in _CACHED_SIZES:
        return list_public_packages(session, event_id, query).model_dump_json().encode()
    key = _list_key(event_id, query.page_size, sponsorships_only=query.sponsorships_only)
    cached = cache().get(key)
    if cached is None:
        cached = list_public_packages(session, event_id, query).model_dump_json().encode()
        cache().put(key, cached, seconds=LIST_SECONDS)
    return cached


def list_public_packages(session: Session, event_id: UUID, query: PublicPackageListQuery) -> Page[PublicPackageOut]:
    """Return a published event's enabled packages in display order; raises `NoSuchEvent`."""
    if session.scalar(select(Event.status).where(Event.id == event_id)) != "published":
        raise NoSuchEvent
    statement = _packages(event_id).where(TicketPackage.is_enabled).order_by(TicketPackage.display_order)
    if query.sponsorships_only:
        statement = statement.where(TicketPackage.is_sponsorship)
    items = [PublicPackageOut.model_validate(fields) for fields in _read(session, event_id, cut(statement, query))]
    return Page(
        items=items,
        page=query.page,
        page_size=query.page_size,
        total=total_of(session, statement, query, shown=len(items)),
    )


def _require_event(session: Session, event_id: UUID) -> None:
    if not session.scalar(select(func.count()).select_from(Event).where(Event.id == event_id)):
        raise NoSuchEvent


def unknown_packages(session: Session, event_id: UUID, package_ids: Sequence[UUID]) -> list[UUID]:
    """Return the ids that name no package of the event, in the order given.

    The packages of the other ids are locked: they can't be deleted until the transaction ends. If one is just being
    deleted, this waits for the end of that transaction.
    """
    known = set(
        session.scalars(
            select(TicketPackage.id)
            .where(TicketPackage.event_id == event_id, TicketPackage.id == func.any(list(package_ids)))
            .order_by(TicketPackage.id)
            .with_for_update(read=True, key_share=True)
        )
    )
    return [package_id for package_id in package_ids if package_id not in known]


def prices_of(session: Session, event_id: UUID, package_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the prices, in cents, of the enabled packages among these; raises `NoSuchEvent` unless it is published."""
    if session.scalar(select(Event.status).where(Event.id == event_id)) != "published":
        raise NoSuchEvent
    rows = session.execute(
        select(TicketPackage.id, TicketPackage.price_cents).where(
            TicketPackage.event_id == event_id,
            TicketPackage.id == func.any(list(package_ids)),
            TicketPackage.is_enabled,
        )
    )
    return {row.id: row.price_cents for row in rows}
