from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, or_, select
from sqlalchemy.orm import Session

from shared.domain.access.models import Member, User
from shared.domain.access.permissions import Role
from shared.domain.access.schemas import MemberOut
from shared.kit.actor import Actor


def list_members(session: Session, event_id: UUID) -> list[MemberOut]:
    """The event's team, by address."""
    rows = session.execute(
        select(Member.email, Member.role, User.name)
        .outerjoin(User, User.id == Member.user_id)
        .where(Member.event_id == event_id)
        .order_by(Member.email)
    )
    return [MemberOut(email=row.email, name=row.name, role=Role(row.role)) for row in rows]


def is_theirs(actor: Actor) -> ColumnElement[bool]:
    """Match the user's memberships: bound to them, or given to their confirmed address and not yet bound."""
    if actor.email is None:
        return Member.user_id == actor.user_id
    return or_(Member.user_id == actor.user_id, and_(Member.user_id.is_(None), Member.email == actor.email))


def events_of(actor: Actor) -> Select[UUID]:
    """The ids of the events whose team the actor belongs to."""
    return select(Member.event_id).where(is_theirs(actor))
