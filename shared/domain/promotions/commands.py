"""Changes of promo codes. Nothing here commits.

Locks: the code's row before its stock; orders lock only the code's stock, after the stock of the packages.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import delete, exists, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.domain.audit.commands import Entity, record
from shared.domain.catalog.queries import get_event, unknown_packages
from shared.domain.promotions import rules
from shared.domain.promotions.errors import NoSuchPromoCode, PromoCodeRedeemed, PromoCodeTaken, UsesBelowRedeemed
from shared.domain.promotions.models import PromoCode, PromoCodePackage, PromoCodeStock, PromoCodeUse
from shared.domain.promotions.schemas import PromoCodeCreate, PromoCodePatch
from shared.kit.actor import Actor
from shared.kit.db.faults import violated_constraint
from shared.kit.errors import InvalidInput
from shared.kit.ids import new_id
from shared.kit.versions import IfMatch, require_version


def create_promo_code(session: Session, event_id: UUID, body: PromoCodeCreate, *, actor: Actor, now: datetime) -> UUID:
    """Add an active code to the event and return its id; raises `PromoCodeTaken`."""
    get_event(session, event_id)
    rules.check_window(body.starts_at, body.expires_at)
    promo = PromoCode(
        event_id=event_id,
        id=new_id(),
        is_active=True,
        created_by=actor.user_id,
        created_at=now,
        updated_at=now,
        version=1,
        discount_value=rules.stored_value(body.discount_type, body.discount_value),
        **body.model_dump(exclude={"max_total_uses", "package_ids", "discount_value"}),
    )
    session.add(promo)
    try:
        session.flush()
    except IntegrityError as error:
        if violated_constraint(error) == "uq_promo_codes_event_id_code":
            raise PromoCodeTaken(f"The event already has the promo code {body.code}.") from error
        raise
    session.add(
        PromoCodeStock(event_id=event_id, promo_code_id=promo.id, max_uses=body.max_total_uses, uses=0, terms=1)
    )
    _require_packages(session, event_id, body.package_ids)
    _limit_to(session, event_id, promo.id, body.package_ids)
    made = {"created": (None, body.model_dump())}
    record(session, event_id, Entity.PROMO_CODE, promo.id, made, actor=actor, now=now)
    return promo.id


def update_promo_code(
    session: Session,
    event_id: UUID,
    promo_code_id: UUID,
    body: PromoCodePatch,
    *,
    actor: Actor,
    if_match: IfMatch,
    now: datetime,
) -> str:
    """Change the given fields and return the code; orders computed before this commit start over."""
    promo = _lock(session, event_id, promo_code_id)
    require_version(promo.version, if_match)
    stock = session.scalars(
        select(PromoCodeStock)
        .where(PromoCodeStock.event_id == event_id, PromoCodeStock.promo_code_id == promo_code_id)
        .with_for_update(key_share=True)
    ).one()
    given: dict[str, Any] = body.model_dump(exclude_unset=True)
    made: dict[str, tuple[Any, Any]] = {}
    if "max_total_uses" in given:
        limit = given.pop("max_total_uses")
        if limit is not None and limit < stock.uses:
            raise UsesBelowRedeemed(f"The code was used {stock.uses} times.", times_used=stock.uses)
        made["max_total_uses"] = (stock.max_uses, limit)
        stock.max_uses = limit
    package_ids = given.pop("package_ids", None)
    if {"discount_type", "discount_value"} & given.keys():
        kind = given.get("discount_type", promo.discount_type)
        value = given.get("discount_value", rules.shown_value(promo.discount_type, promo.discount_value))
        given["discount_value"] = rules.stored_value(kind, Decimal(str(value)))
    made |= {name: (getattr(promo, name), value) for name, value in given.items()}
    for name, value in given.items():
        setattr(promo, name, value)
    rules.check_window(promo.starts_at, promo.expires_at)
    promo.version += 1
    promo.updated_at = now
    stock.terms += 1
    session.flush()
    if package_ids is not None:
        _require_packages(session, event_id, package_ids)  # before the rows that the deletion of a package checks
        old_packages = session.scalars(
            delete(PromoCodePackage)
            .where(PromoCodePackage.event_id == event_id, PromoCodePackage.promo_code_id == promo_code_id)
            .returning(PromoCodePackage.package_id)
        ).all()
        _limit_to(session, event_id, promo_code_id, package_ids)
        made["package_ids"] = (sorted(old_packages), sorted(package_ids))
    record(session, event_id, Entity.PROMO_CODE, promo_code_id, made, actor=actor, now=now)
    return promo.code


def delete_promo_code(session: Session, event_id: UUID, promo_code_id: UUID, *, actor: Actor, now: datetime) -> str:
    """Delete a code that was never used, and return it; raises `PromoCodeRedeemed`: used codes stay on record."""
    promo = _lock(session, event_id, promo_code_id)
    refusal = PromoCodeRedeemed("A redeemed code can't be deleted. Deactivate it instead (is_active: false).")
    used = exists().where(PromoCodeUse.event_id == event_id, PromoCodeUse.promo_code_id == promo_code_id)
    if session.scalar(select(used)):
        raise refusal
    try:
        session.execute(delete(PromoCode).where(PromoCode.event_id == event_id, PromoCode.id == promo_code_id))
    except IntegrityError as error:  # redeemed at this very moment
        raise refusal from error
    gone = {"deleted": ({"code": promo.code}, None)}
    record(session, event_id, Entity.PROMO_CODE, promo_code_id, gone, actor=actor, now=now)
    return promo.code


def _lock(session: Session, event_id: UUID, promo_code_id: UUID) -> PromoCode:
    promo = session.scalar(
        select(PromoCode)
        .where(PromoCode.event_id == event_id, PromoCode.id == promo_code_id)
        .with_for_update(key_share=True)
    )
    if promo is None:
        raise NoSuchPromoCode
    return promo


def _require_packages(session: Session, event_id: UUID, package_ids: Sequence[UUID]) -> None:
    unknown = unknown_packages(session, event_id, package_ids)
    if unknown:
        index = list(package_ids).index(unknown[0])
        raise InvalidInput("This event has no such ticket package.", pointer=f"/package_ids/{index}")


def _limit_to(session: Session, event_id: UUID, promo_code_id: UUID, package_ids: Sequence[UUID]) -> None:
    session.add_all(
        PromoCodePackage(event_id=event_id, promo_code_id=promo_code_id, package_id=package_id)
        for package_id in dict.fromkeys(package_ids)
    )
    session.flush()
