"""Changes of events and packages. Nothing here commits.

Locks: the event's row before a package's, a package's row before its stock. Everything but a deletion locks with
`FOR NO KEY UPDATE`, so that buyers do not wait for editors: their orders refer to these rows.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.domain.access.commands import add_founder
from shared.domain.access.errors import EmailUnverified, NoSuchEvent
from shared.domain.audit.commands import Entity, record
from shared.domain.catalog import rules
from shared.domain.catalog.errors import (
    ConfirmationRequired,
    CurrencyLocked,
    EventCancelled,
    LimitBelowSales,
    NoSuchPackage,
    PackageHasSales,
    PackageInPromoCodes,
    PriceLocked,
    ReorderMismatch,
    SlugTaken,
)
from shared.domain.catalog.models import Event, TicketPackage
from shared.domain.catalog.schemas import EventCreate, EventPatch, PackageCreate, PackagePatch
from shared.domain.stock.commands import (
    add_stock,
    change_all_terms,
    change_terms,
    lock_stock,
    remove_unsold,
    set_limit,
)
from shared.domain.stock.models import Stock
from shared.kit.actor import Actor
from shared.kit.db.faults import violated_constraint
from shared.kit.ids import new_id, random_word
from shared.kit.versions import IfMatch, require_version


def create_event(session: Session, body: EventCreate, *, actor: Actor, now: datetime) -> Event:
    """Add a draft event; the actor becomes its first coordinator. Raises `SlugTaken`."""
    if actor.email is None or actor.user_id is None:
        raise EmailUnverified
    rules.check_times(body.starts_at, body.ends_at)
    fields = body.model_dump()
    if body.slug is None:
        fields["slug"] = _free_slug(session, body.title)
    event = Event(
        id=new_id(), status="draft", created_by=actor.user_id, created_at=now, updated_at=now, version=1, **fields
    )
    session.add(event)
    _flush_event(session)
    add_founder(session, event.id, actor=actor, now=now)
    record(session, event.id, Entity.EVENT, event.id, {"created": (None, body.model_dump())}, actor=actor, now=now)
    return event


def _free_slug(session: Session, title: str) -> str:
    """Return a slug that no event has: a user who chose no slug must not be refused because theirs is taken."""
    while True:
        slug = f"{rules.slug_of(title)}-{random_word(6).lower()}"
        if session.scalar(select(Event.id).where(Event.slug == slug)) is None:
            return slug


def update_event(
    session: Session, event_id: UUID, body: EventPatch, *, actor: Actor, if_match: IfMatch, now: datetime
) -> Event:
    """Change the given fields; raises `StaleVersion`, `SlugTaken` or `CurrencyLocked`."""
    event = _lock_event(session, event_id)
    require_version(event.version, if_match)
    changes = _changes(event, body.model_dump(exclude_unset=True))
    if not changes:
        return event
    if "currency" in changes and _has_sales(session, event_id):
        raise CurrencyLocked
    rules.check_times(changes.get("starts_at", event.starts_at), changes.get("ends_at", event.ends_at))
    made = _apply(event, changes, now)
    _flush_event(session)
    if changes.keys() & rules.EVENT_TERMS:
        change_all_terms(session, event_id)
    record(session, event_id, Entity.EVENT, event_id, made, actor=actor, now=now)
    return event


def publish_event(session: Session, event_id: UUID, *, actor: Actor, if_match: IfMatch = None, now: datetime) -> Event:
    """Let everybody see the event and buy its tickets; publishing twice changes nothing. Raises `EventCancelled`."""
    return _set_status(session, event_id, "published", actor=actor, if_match=if_match, now=now)


def cancel_event(session: Session, event_id: UUID, *, actor: Actor, if_match: IfMatch = None, now: datetime) -> Event:
    """Stop selling for good: once this is committed, no order for the event succeeds."""
    return _set_status(session, event_id, "cancelled", actor=actor, if_match=if_match, now=now)


def _set_status(
    session: Session, event_id: UUID, status: str, *, actor: Actor, if_match: IfMatch, now: datetime
) -> Event:
    event = _lock_event(session, event_id)
    require_version(event.version, if_match)
    if event.status == status:
        return event
    if event.status == "cancelled":
        raise EventCancelled
    made = _apply(event, {"status": status}, now)
    session.flush()
    change_all_terms(session, event_id)
    record(session, event_id, Entity.EVENT, event_id, made, actor=actor, now=now)
    return event


def create_package(
    session: Session, event_id: UUID, body: PackageCreate, *, actor: Actor, now: datetime
) -> tuple[TicketPackage, Stock, str]:
    """Add a package to the event, shown last and enabled; returns it with its stock and the event's currency."""
    rules.check_sale_rules(
        min_per_order=body.min_per_order,
        max_per_order=body.max_per_order,
        sale_starts_at=body.sale_starts_at,
        sale_ends_at=body.sale_ends_at,
    )
    event = _lock_event(session, event_id)  # otherwise two packages could get the same place
    last = session.scalar(select(func.max(TicketPackage.display_order)).where(TicketPackage.event_id == event_id))
    package = TicketPackage(
        event_id=event_id,
        id=new_id(),
        display_order=0 if last is None else last + 1,
        is_enabled=True,
        created_by=actor.user_id,
        created_at=now,
        updated_at=now,
        version=1,
        **body.model_dump(exclude={"quantity_limit"}),
    )
    session.add(package)
    stock = add_stock(session, event_id, package.id, kind="package", quantity_limit=body.quantity_limit)
    made = {"created": (None, body.model_dump())}
    record(session, event_id, Entity.PACKAGE, package.id, made, actor=actor, now=now)
    return package, stock, event.currency


def update_package(
    session: Session,
    event_id: UUID,
    package_id: UUID,
    body: PackagePatch,
    *,
    actor: Actor,
    if_match: IfMatch,
    now: datetime,
) -> bool:
    """Change the given fields and return whether the package has sales already.

    With `if_match` the edit is refused (`StaleVersion`) when somebody else has changed the package since. Without it,
    the row lock puts edits one after the other. Each changes only its own fields, so edits of different fields both
    survive.
    """
    package = _lock_package(session, event_id, package_id, if_match=if_match)
    given = body.model_dump(exclude_unset=True)
    stock = lock_stock(session, event_id, package_id)
    limit = given.pop("quantity_limit", stock.quantity_limit)
    old_limit = stock.quantity_limit
    changes = _changes(package, given)
    if "price_cents" in changes and stock.sold and _locks_prices(session, event_id):
        raise PriceLocked
    rules.check_sale_rules(
        min_per_order=changes.get("min_per_order", package.min_per_order),
        max_per_order=changes.get("max_per_order", package.max_per_order),
        sale_starts_at=changes.get("sale_starts_at", package.sale_starts_at),
        sale_ends_at=changes.get("sale_ends_at", package.sale_ends_at),
    )
    if limit is not None and limit < stock.sold + stock.held:
        raise LimitBelowSales(
            f"{stock.sold} are sold and {stock.held} held; the limit can't be lower than their sum.",
            sold_count=stock.sold,
            held_count=stock.held,
        )
    if changes or limit != old_limit:
        made = _apply(package, changes, now) | {"quantity_limit": (old_limit, limit)}
        set_limit(stock, limit)
        if changes.keys() & rules.TERMS:
            change_terms(stock)
        record(session, event_id, Entity.PACKAGE, package_id, made, actor=actor, now=now)
    return bool(stock.sold)


def set_enabled(
    session: Session, event_id: UUID, package_id: UUID, *, enabled: bool, actor: Actor, if_match: IfMatch, now: datetime
) -> None:
    """Enable or disable a package; once a disabling is committed, nobody can claim the package any more."""
    package = _lock_package(session, event_id, package_id, if_match=if_match)
    if package.is_enabled != enabled:
        made = _apply(package, {"is_enabled": enabled}, now)
        change_terms(lock_stock(session, event_id, package_id))
        record(session, event_id, Entity.PACKAGE, package_id, made, actor=actor, now=now)


def delete_package(
    session: Session,
    event_id: UUID,
    package_id: UUID,
    *,
    confirmed: bool,
    actor: Actor,
    if_match: IfMatch,
    now: datetime,
) -> list[str]:
    """Delete a package that has nothing sold or held; returns the image blobs to delete after the commit.

    Raises `ConfirmationRequired`, `PackageHasSales` or `PackageInPromoCodes`.
    """
    package = _lock_package(session, event_id, package_id, if_match=if_match, against_orders=True)
    was = {"name": package.name, "price_cents": package.price_cents}
    if not confirmed:
        raise ConfirmationRequired("Repeat the request with ?confirm=true.", pointer="/query/confirm")
    refusal = PackageHasSales("Cannot delete packages with sales. Disable it instead: nobody can buy it then.")
    if not remove_unsold(session, event_id, package_id):
        raise refusal
    try:
        session.execute(delete(TicketPackage).where(TicketPackage.event_id == event_id, TicketPackage.id == package_id))
    except IntegrityError as error:
        if violated_constraint(error) == "fk_promo_code_packages_event_id_package_id":
            raise PackageInPromoCodes(
                "Promo codes are limited to this package. Take it out of them first, or disable the package instead."
            ) from error
        raise refusal from error  # orders still refer to it, although they were refunded or cancelled since
    record(session, event_id, Entity.PACKAGE, package_id, {"deleted": (was, None)}, actor=actor, now=now)
    return [name for name in (package.display_image, package.thumbnail_image) if name]


def reorder_packages(session: Session, event_id: UUID, package_ids: list[UUID], *, actor: Actor, now: datetime) -> None:
    """Show the event's packages in this order; raises `ReorderMismatch` unless each is named exactly once.

    One statement moves all packages, after the event's row has been locked. So two reorders at the same time end in one
    of the two orders. All packages are locked before any is moved, so that an edit or a deletion waits until the new
    order is settled.
    """
    _lock_event(session, event_id)
    shown = (
        select(TicketPackage.id, TicketPackage.display_order)
        .where(TicketPackage.event_id == event_id)
        .order_by(TicketPackage.id)
        .with_for_update(key_share=True)
    )
    places = {row.id: row.display_order for row in session.execute(shown)}
    present, given = places.keys(), set(package_ids)
    if given != present or len(package_ids) != len(given):
        raise ReorderMismatch(
            "Name every ticket package of the event exactly once.",
            missing=sorted(str(id_) for id_ in present - given),
            unknown=sorted(str(id_) for id_ in given - present),
        )
    session.execute(
        text(
            "UPDATE ticket_packages AS p SET display_order = wanted.place - 1, updated_at = :now"
            "  FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS wanted(id, place)"
            " WHERE p.event_id = :event_id AND p.id = wanted.id AND p.display_order <> wanted.place - 1"
        ),
        {"event_id": event_id, "ids": package_ids, "now": now},
    )
    for place, package_id in enumerate(package_ids):
        moved = {"display_order": (places[package_id], place)}
        record(session, event_id, Entity.PACKAGE, package_id, moved, actor=actor, now=now)


def _lock_event(session: Session, event_id: UUID) -> Event:
    event = session.scalar(select(Event).where(Event.id == event_id).with_for_update(key_share=True))
    if event is None:
        raise NoSuchEvent
    return event


def _lock_package(
    session: Session, event_id: UUID, package_id: UUID, *, if_match: IfMatch, against_orders: bool = False
) -> TicketPackage:
    """Lock the package; `against_orders` waits for orders that are being placed, and lets no other order begin.

    A deletion needs this lock, and needs it before it locks the stock. An order refers to the package first and claims
    its stock last, so with the locks the other way round the order and the deletion would wait for each other.
    """
    package = session.scalar(
        select(TicketPackage)
        .where(TicketPackage.event_id == event_id, TicketPackage.id == package_id)
        .with_for_update(key_share=not against_orders)
    )
    if package is None:
        raise NoSuchPackage
    require_version(package.version, if_match)
    return package


def _changes(row: Event | TicketPackage, given: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if getattr(row, name) != value}


def _apply(row: Event | TicketPackage, changes: dict[str, Any], now: datetime) -> dict[str, tuple[Any, Any]]:
    """Make the changes and return them as (old, new) for the audit trail."""
    made = {name: (getattr(row, name), value) for name, value in changes.items()}
    for name, value in changes.items():
        setattr(row, name, value)
    row.updated_at = now
    row.version += 1
    return made


def _flush_event(session: Session) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        if violated_constraint(error) == "uq_events_slug":
            raise SlugTaken from error
        raise


def _has_sales(session: Session, event_id: UUID) -> bool:
    taken = select(func.coalesce(func.sum(Stock.sold + Stock.held), 0)).where(Stock.event_id == event_id)
    return bool(session.scalar(taken))


def _locks_prices(session: Session, event_id: UUID) -> bool:
    return bool(session.scalar(select(Event.lock_price_after_sales).where(Event.id == event_id)))
