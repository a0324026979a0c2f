"""Reads of promo codes, and the preview of what a code would take off."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from shared.domain.catalog.queries import get_event, prices_of
from shared.domain.orders.queries import orders_by_id
from shared.domain.promotions import errors, rules
from shared.domain.promotions.models import (
    PromoCode,
    PromoCodeCustomer,
    PromoCodePackage,
    PromoCodeStock,
    PromoCodeUse,
)
from shared.domain.promotions.redeeming import customer_of
from shared.domain.promotions.rules import Promo
from shared.domain.promotions.schemas import (
    PromoCodeListQuery,
    PromoCodeOut,
    PromoCodePreview,
    PromoCodePreviewOut,
    PromoCodeUsage,
    PromoCodeUseOut,
)
from shared.kit.actor import Actor
from shared.kit.cache import cache
from shared.kit.errors import InvalidInput
from shared.kit.pages import Page, PageQuery, cut, total_of

PREVIEW_SECONDS = 60


def cache_key(event_id: UUID, code: str) -> str:
    """Return the cache key of a promo code; after a commit that changes or redeems the code, the key is dropped."""
    return f"promo-code:{event_id}:{code}"


def get_promo_code(session: Session, event_id: UUID, promo_code_id: UUID) -> PromoCodeOut:
    """Return one promo code; raises `NoSuchPromoCode`."""
    found = _read(session, event_id, _codes(event_id).where(PromoCode.id == promo_code_id))
    if not found:
        raise errors.NoSuchPromoCode
    return found[0]


def list_promo_codes(session: Session, event_id: UUID, query: PromoCodeListQuery) -> Page[PromoCodeOut]:
    """Return the event's promo codes, the newest first."""
    get_event(session, event_id)
    statement = _codes(event_id).order_by(PromoCode.created_at.desc(), PromoCode.id.desc())
    if query.active_only:
        statement = statement.where(PromoCode.is_active)
    items = _read(session, event_id, cut(statement, query))
    total = total_of(session, statement, query, shown=len(items))
    return Page(items=items, page=query.page, page_size=query.page_size, total=total)


def _codes(event_id: UUID) -> Select[PromoCode, PromoCodeStock]:
    return (
        select(PromoCode, PromoCodeStock)
        .join(
            PromoCodeStock,
            (PromoCodeStock.event_id == PromoCode.event_id) & (PromoCodeStock.promo_code_id == PromoCode.id),
        )
        .where(PromoCode.event_id == event_id)
    )


def _read(session: Session, event_id: UUID, statement: Select[PromoCode, PromoCodeStock]) -> list[PromoCodeOut]:
    """Return the codes of `statement` with their packages, in two statements however many codes there are."""
    rows = session.execute(statement).all()
    limited: dict[UUID, list[UUID]] = {row.PromoCode.id: [] for row in rows}
    if rows:
        for promo_code_id, package_id in session.execute(
            select(PromoCodePackage.promo_code_id, PromoCodePackage.package_id)
            .where(PromoCodePackage.event_id == event_id, PromoCodePackage.promo_code_id == func.any(list(limited)))
            .order_by(PromoCodePackage.package_id)
        ):
            limited[promo_code_id].append(package_id)
    return [_out(row.PromoCode, row.PromoCodeStock, limited[row.PromoCode.id]) for row in rows]


def _out(promo: PromoCode, stock: PromoCodeStock, package_ids: Sequence[UUID]) -> PromoCodeOut:
    fields = {name: getattr(promo, name, None) for name in PromoCodeOut.model_fields}
    return PromoCodeOut.model_validate(
        fields
        | {
            "discount_value": rules.shown_value(promo.discount_type, promo.discount_value),
            "max_total_uses": stock.max_uses,
            "times_used": stock.uses,
            "remaining_uses": None if stock.max_uses is None else stock.max_uses - stock.uses,
            "package_ids": list(package_ids),
        }
    )


def get_usage(session: Session, event_id: UUID, promo_code_id: UUID, query: PageQuery) -> PromoCodeUsage:
    """Return how often the code was used in all, and by whom and when; raises `NoSuchPromoCode`."""
    promo = get_promo_code(session, event_id, promo_code_id)
    counted = (
        PromoCodeUse.event_id == event_id,
        PromoCodeUse.promo_code_id == promo_code_id,
        PromoCodeUse.returned_at.is_(None),
    )
    uses = select(PromoCodeUse).where(*counted).order_by(PromoCodeUse.created_at.desc(), PromoCodeUse.order_id.desc())
    total_discount = session.scalar(select(func.coalesce(func.sum(PromoCodeUse.discount_cents), 0)).where(*counted))
    page = session.scalars(cut(uses, query)).all()
    orders = orders_by_id(session, event_id, [use.order_id for use in page])
    return PromoCodeUsage(
        code=promo.code,
        times_used=promo.times_used,
        remaining_uses=promo.remaining_uses,
        total_discount_cents=int(total_discount or 0),
        currency=get_event(session, event_id).currency,
        items=[
            PromoCodeUseOut(
                order_id=use.order_id,
                order_number=orders[use.order_id].number,
                customer_name=orders[use.order_id].customer_name,
                customer_email=orders[use.order_id].customer_email,
                discount_cents=use.discount_cents,
                used_at=use.created_at,
            )
            for use in page
        ],
        page=query.page,
        page_size=query.page_size,
        total=total_of(session, uses, query, shown=len(page)),
    )


def preview(
    session: Session, event_id: UUID, body: PromoCodePreview, *, actor: Actor, now: datetime
) -> PromoCodePreviewOut:
    """Return what the code would take off the basket. It may be cached for 60 s: only the purchase decides."""
    prices = prices_of(session, event_id, [item.package_id for item in body.items])
    lines = []
    for index, item in enumerate(body.items):
        if item.package_id not in prices:
            raise InvalidInput("This event has no such ticket package.", pointer=f"/items/{index}/package_id")
        lines.append((item.package_id, item.quantity * prices[item.package_id]))
    subtotal = sum(cents for _, cents in lines)
    code, discount = body.code.strip().upper(), 0
    refusal: InvalidInput | None = None
    try:
        promo = _for_preview(session, event_id, code, actor=actor, email=body.email)
        discount = sum(rules.discounts(promo, lines, now=now))
    except errors.REFUSALS as error:
        refusal = error
    return PromoCodePreviewOut(
        valid=refusal is None,
        code=code,
        reason=refusal.code if refusal else None,
        detail=refusal.detail if refusal else None,
        subtotal_cents=subtotal,
        discount_cents=discount,
        total_cents=subtotal - discount,
    )


def _for_preview(session: Session, event_id: UUID, code: str, *, actor: Actor, email: str | None) -> Promo:
    """Return the code from the cache or the database; the customer's uses always come from the database."""
    cached = cache().get(cache_key(event_id, code))
    promo = _loaded(cached) if cached else _from_database(session, event_id, code)
    if promo is None:
        raise errors.PromoCodeUnknown(pointer=rules.POINTER)
    if cached is None:
        cache().put(cache_key(event_id, code), _dumped(promo), seconds=PREVIEW_SECONDS)
    if promo.max_uses_per_customer is None or (actor.is_guest and email is None):
        return promo
    used = session.scalar(
        select(PromoCodeCustomer.uses).where(
            PromoCodeCustomer.event_id == event_id,
            PromoCodeCustomer.promo_code_id == promo.id,
            PromoCodeCustomer.customer == customer_of(actor.user_id, email or ""),
        )
    )
    return replace(promo, uses_by_customer=used or 0)


def _from_database(session: Session, event_id: UUID, code: str) -> Promo | None:
    row = session.execute(_codes(event_id).where(PromoCode.code == code)).one_or_none()
    if row is None:
        return None
    promo, stock = row.PromoCode, row.PromoCodeStock
    package_ids = session.scalars(
        select(PromoCodePackage.package_id).where(
            PromoCodePackage.event_id == event_id, PromoCodePackage.promo_code_id == promo.id
        )
    )
    same = {name: getattr(promo, name) for name in Promo.__dataclass_fields__ if hasattr(promo, name)}
    return Promo(
        **same,
        max_uses=stock.max_uses,
        uses=stock.uses,
        uses_by_customer=0,
        package_ids=frozenset(package_ids),
        terms=stock.terms,
    )


def _dumped(promo: Promo) -> bytes:
    return orjson.dumps({**asdict(promo), "package_ids": sorted(promo.package_ids)})


def _loaded(cached: bytes) -> Promo:
    fields: dict[str, Any] = orjson.loads(cached)
    for name in ("starts_at", "expires_at"):
        fields[name] = fields[name] and datetime.fromisoformat(fields[name])
    package_ids = frozenset(UUID(package_id) for package_id in fields["package_ids"])
    return Promo(**fields | {"id": UUID(fields["id"]), "package_ids": package_ids})
