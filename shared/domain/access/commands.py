"""Who may do what, and who belongs to an event's team."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Literal
from uuid import UUID

from sqlalchemy import delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.domain.access.errors import LastCoordinator, NoSuchEvent, NoSuchMember, PermissionMissing
from shared.domain.access.models import Member, User
from shared.domain.access.permissions import ANY_COORDINATOR, OF_ROLE, SIGNED_IN, Role
from shared.domain.access.queries import is_theirs
from shared.domain.access.schemas import MemberOut
from shared.domain.audit.commands import Entity, record
from shared.kit.actor import Actor, Identity
from shared.kit.clock import utc_now
from shared.kit.ids import new_id


def admit(session: Session, identity: Identity, permission: StrEnum, event_id: UUID | None) -> Actor:
    """Return the signed-in user as an actor who has `permission` (for `event_id`, where the route has one).

    A user who signs in for the first time is recorded. Raises `PermissionMissing`, or `NoSuchEvent` where the caller
    may not even know that the event exists.
    """
    actor = _recognise(session, identity)
    if actor.is_super_admin or permission in SIGNED_IN:
        return actor
    if event_id is None:
        if permission in ANY_COORDINATOR and _coordinates_some_event(session, actor):
            return actor
        raise PermissionMissing
    role = _role_in(session, event_id, actor)
    if role is None:
        raise NoSuchEvent
    if permission not in OF_ROLE[role]:
        raise PermissionMissing(f"As {role.value} of this event you do not have the permission {permission.value}.")
    return replace(actor, permissions=OF_ROLE[role])


def _recognise(session: Session, identity: Identity) -> Actor:
    """Return the user whom the token names; records a new user, and keeps the address and name of others up to date."""
    # An address that nobody has confirmed could belong to anybody: it opens no membership and is not kept.
    email = identity.email if identity.email_verified else None
    user = session.execute(
        select(User.id, User.email, User.name, User.is_super_admin).where(
            User.issuer == identity.issuer, User.subject == identity.subject
        )
    ).one_or_none()
    if user is None or (user.email, user.name) != (email, identity.name):
        user = session.execute(
            insert(User)
            .values(
                id=new_id(),
                issuer=identity.issuer,
                subject=identity.subject,
                email=email,
                name=identity.name,
                is_super_admin=False,
                created_at=utc_now(),
            )
            .on_conflict_do_update(
                index_elements=[User.issuer, User.subject], set_={"email": email, "name": identity.name}
            )
            .returning(User.id, User.email, User.name, User.is_super_admin)
        ).one()
    return Actor(
        user_id=user.id,
        email=user.email,
        name=user.name,
        is_super_admin=user.is_super_admin or identity.is_super_admin,
    )


def _role_in(session: Session, event_id: UUID, actor: Actor) -> Role | None:
    member = session.execute(
        select(Member.id, Member.role, Member.user_id)
        .where(Member.event_id == event_id, is_theirs(actor))
        .order_by(Member.user_id.is_(None))
        .limit(1)
    ).one_or_none()
    if member is None:
        return None
    if member.user_id is None:
        # From now on the membership belongs to this user, even if somebody else gets the address later.
        session.execute(
            update(Member)
            .where(Member.event_id == event_id, Member.id == member.id, Member.user_id.is_(None))
            .values(user_id=actor.user_id)
        )
    return Role(member.role)


def _coordinates_some_event(session: Session, actor: Actor) -> bool:
    return bool(session.scalar(select(exists().where(is_theirs(actor), Member.role == Role.COORDINATOR))))


def add_founder(session: Session, event_id: UUID, *, actor: Actor, now: datetime) -> None:
    """Make the actor, who has just created the event, its first coordinator."""
    assert actor.email is not None
    session.add(
        Member(
            event_id=event_id,
            id=new_id(),
            email=actor.email,
            user_id=actor.user_id,
            role=Role.COORDINATOR,
            created_at=now,
        )
    )


def put_member(session: Session, event_id: UUID, email: str, role: Role, *, actor: Actor, now: datetime) -> MemberOut:
    """Give an address a role in the event; raises `LastCoordinator` if the last coordinator would become staff."""
    _lock_team(session, event_id)
    if role is not Role.COORDINATOR:
        _keep_one_coordinator(session, event_id, besides=email)
    old = session.scalar(select(Member.role).where(Member.event_id == event_id, Member.email == email))
    session.execute(
        insert(Member)
        .values(event_id=event_id, id=new_id(), email=email, role=role, created_at=now)
        .on_conflict_do_update(index_elements=[Member.event_id, Member.email], set_={"role": role.value})
    )
    name = session.scalar(
        select(User.name)
        .join(Member, Member.user_id == User.id)
        .where(Member.event_id == event_id, Member.email == email)
    )
    record(session, event_id, Entity.MEMBER, email, {"role": (old, role.value)}, actor=actor, now=now)
    return MemberOut(email=email, name=name, role=role)


def remove_member(session: Session, event_id: UUID, email: str, *, actor: Actor, now: datetime) -> None:
    """Take an address out of the team; raises `NoSuchMember`, or `LastCoordinator` for the last coordinator."""
    _lock_team(session, event_id)
    _keep_one_coordinator(session, event_id, besides=email)
    removed = session.execute(
        delete(Member).where(Member.event_id == event_id, Member.email == email).returning(Member.role)
    ).all()
    if not removed:
        raise NoSuchMember
    record(session, event_id, Entity.MEMBER, email, {"role": (removed[0].role, None)}, actor=actor, now=now)


def _lock_team(session: Session, event_id: UUID) -> None:
    """Let changes of a team happen one after the other: otherwise two coordinators could remove each other at once."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"team:{event_id}", 0))))


def _keep_one_coordinator(session: Session, event_id: UUID, *, besides: str) -> None:
    others = exists().where(Member.event_id == event_id, Member.role == Role.COORDINATOR, Member.email != besides)
    affected = exists().where(Member.event_id == event_id, Member.role == Role.COORDINATOR, Member.email == besides)
    if session.scalar(select(affected & ~others)):
        raise LastCoordinator


def erase_accounts(session: Session, email: str, user_ids: Sequence[UUID]) -> Literal["none", "erased", "kept"]:
    """Remove name and address from these accounts.

    Returns `none` without accounts, and `kept` where they belong to a team or to a super admin, or were erased before.
    A user who signs in again is recorded again.
    """
    if not user_ids:
        return "none"
    in_a_team = exists().where((Member.email == email) | Member.user_id.in_(user_ids))
    if session.scalar(select(in_a_team)):
        return "kept"
    erased = session.execute(
        update(User)
        .where(User.id.in_(user_ids), ~User.is_super_admin, User.email.is_not(None) | User.name.is_not(None))
        .values(email=None, name=None)
        .returning(User.id)
    ).all()
    return "erased" if erased else "kept"
