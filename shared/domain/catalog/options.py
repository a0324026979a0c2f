"""Custom options of packages: the questions that buyers answer (R-OPT). Nothing here commits.

Every change locks the package's row first, then its stock, and changes the terms. So an order always answers the
questions that are asked at the moment of its commit, and not earlier ones.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.domain.audit.commands import Entity, record
from shared.domain.catalog import rules
from shared.domain.catalog.errors import NoSuchOption, NoSuchPackage, OptionHasAnswers, ReorderMismatch, TooManyOptions
from shared.domain.catalog.models import CustomOption, TicketPackage
from shared.domain.catalog.schemas import OptionCreate, OptionOut, OptionPatch
from shared.domain.stock.commands import change_terms, lock_stock
from shared.domain.stock.models import Stock
from shared.kit.actor import Actor
from shared.kit.ids import new_id

MAX_OPTIONS = 4


def list_options(session: Session, event_id: UUID, package_id: UUID) -> list[OptionOut]:
    """Return the package's options in their order, retired ones included; raises `NoSuchPackage`."""
    found = session.scalar(
        select(TicketPackage.id).where(TicketPackage.event_id == event_id, TicketPackage.id == package_id)
    )
    if found is None:
        raise NoSuchPackage
    options = session.scalars(_of(event_id, package_id).order_by(CustomOption.display_order))
    return [OptionOut.model_validate(option) for option in options]


def active_options(session: Session, event_id: UUID, package_ids: Sequence[UUID]) -> dict[UUID, list[OptionOut]]:
    """Return the options that buyers of each package are asked, in order; one statement for any number of packages."""
    asked: dict[UUID, list[OptionOut]] = {package_id: [] for package_id in package_ids}
    for option in session.scalars(
        select(CustomOption)
        .where(
            CustomOption.event_id == event_id,
            CustomOption.package_id == func.any(list(package_ids)),
            CustomOption.is_active,
        )
        .order_by(CustomOption.display_order)
    ):
        asked[option.package_id].append(OptionOut.model_validate(option))
    return asked


def create_option(
    session: Session, event_id: UUID, package_id: UUID, body: OptionCreate, *, actor: Actor, now: datetime
) -> CustomOption:
    """Add a question, which is asked last; raises `TooManyOptions` if four are asked already."""
    _lock(session, event_id, package_id)
    present = session.scalars(_of(event_id, package_id)).all()
    if sum(option.is_active for option in present) >= MAX_OPTIONS:
        raise TooManyOptions
    max_choices = rules.check_choices(body.option_type, body.choices, body.max_choices)
    option = CustomOption(
        event_id=event_id,
        id=new_id(),
        package_id=package_id,
        label=body.label,
        option_type=body.option_type,
        choices=list(body.choices),
        max_choices=max_choices,
        is_required=body.is_required,
        is_active=True,
        display_order=max((option.display_order for option in present), default=-1) + 1,
        created_at=now,
    )
    session.add(option)
    made = {"created": (None, body.model_dump())}
    record(session, event_id, Entity.OPTION, option.id, made, actor=actor, now=now)
    return option


def update_option(
    session: Session,
    event_id: UUID,
    package_id: UUID,
    option_id: UUID,
    body: OptionPatch,
    *,
    actor: Actor,
    now: datetime,
) -> CustomOption:
    """Change a question, retire it or ask it again; raises `NoSuchOption` or `TooManyOptions`."""
    _lock(session, event_id, package_id)
    option = _get(session, event_id, package_id, option_id)
    given: dict[str, Any] = body.model_dump(exclude_unset=True)
    if given.get("is_active") and not option.is_active:
        active = session.scalar(
            select(func.count()).select_from(_of(event_id, package_id).where(CustomOption.is_active).subquery())
        )
        if (active or 0) >= MAX_OPTIONS:
            raise TooManyOptions
    made = {name: (getattr(option, name), value) for name, value in given.items()}
    for name, value in given.items():
        setattr(option, name, value)
    option.max_choices = rules.check_choices(option.option_type, option.choices, option.max_choices)
    record(session, event_id, Entity.OPTION, option_id, made, actor=actor, now=now)
    return option


def delete_option(
    session: Session, event_id: UUID, package_id: UUID, option_id: UUID, *, actor: Actor, now: datetime
) -> None:
    """Delete a question that nobody has answered; raises `OptionHasAnswers` once the package has sales."""
    stock = _lock(session, event_id, package_id, to_delete=option_id)
    was = OptionOut.model_validate(_get(session, event_id, package_id, option_id)).model_dump()
    refusal = OptionHasAnswers("The package has sales. Retire the option instead (is_active: false): its answers stay.")
    if stock.sold or stock.held:
        raise refusal
    try:
        session.execute(delete(CustomOption).where(CustomOption.event_id == event_id, CustomOption.id == option_id))
    except IntegrityError as error:  # the orders were refunded since, but they answered it
        raise refusal from error
    record(session, event_id, Entity.OPTION, option_id, {"deleted": (was, None)}, actor=actor, now=now)


def reorder_options(
    session: Session, event_id: UUID, package_id: UUID, option_ids: list[UUID], *, actor: Actor, now: datetime
) -> None:
    """Ask the options in this order; raises `ReorderMismatch` unless each is named exactly once."""
    _lock(session, event_id, package_id)
    places = {option.id: option.display_order for option in session.scalars(_of(event_id, package_id))}
    if set(option_ids) != places.keys() or len(option_ids) != len(places):
        raise ReorderMismatch("Name every option of the package exactly once.")
    session.execute(
        text(
            "UPDATE custom_options AS o SET display_order = wanted.place - 1"
            "  FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS wanted(id, place)"
            " WHERE o.event_id = :event_id AND o.id = wanted.id"
        ),
        {"event_id": event_id, "ids": option_ids},
        execution_options={"synchronize_session": False},
    )
    session.expire_all()
    for place, option_id in enumerate(option_ids):
        moved = {"display_order": (places[option_id], place)}
        record(session, event_id, Entity.OPTION, option_id, moved, actor=actor, now=now)


def _of(event_id: UUID, package_id: UUID) -> Any:
    return select(CustomOption).where(CustomOption.event_id == event_id, CustomOption.package_id == package_id)


def _get(session: Session, event_id: UUID, package_id: UUID, option_id: UUID) -> CustomOption:
    option: CustomOption | None = session.scalar(_of(event_id, package_id).where(CustomOption.id == option_id))
    if option is None:
        raise NoSuchOption
    return option


def _lock(session: Session, event_id: UUID, package_id: UUID, *, to_delete: UUID | None = None) -> Stock:
    """Lock the package and its stock, and make every order that was computed before this commit start over.

    For a deletion, the option is locked before the stock. An order that is being placed locks the option it answers
    first and claims its stock last, so with the locks the other way round each would wait for the other.
    """
    package = session.scalar(
        select(TicketPackage)
        .where(TicketPackage.event_id == event_id, TicketPackage.id == package_id)
        .with_for_update(key_share=True)
    )
    if package is None:
        raise NoSuchPackage
    if to_delete is not None:
        session.execute(_of(event_id, package_id).where(CustomOption.id == to_delete).with_for_update())
    stock = lock_stock(session, event_id, package_id)
    change_terms(stock)
    package.version += 1
    return stock
