from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.domain.messaging.kinds import KINDS
from shared.kit.ids import least_id_at

# This reads only the end of the primary key for each event, however much it has sold: everything that changes its sales
# (a payment, a refund, a complimentary order) queues a message, and ids are in the order of time.
_NEWS = text(
    """
    SELECT e.id FROM events e
     WHERE EXISTS (SELECT FROM outbox m WHERE m.event_id = e.id AND m.id >= :since AND m.kind = ANY(:news))
    """
)


def events_with_news(session: Session, *, since: datetime) -> Sequence[UUID]:
    """Return the events in which something was sold or refunded since then."""
    news = [kind.name for kind in KINDS if kind.is_news]
    return session.scalars(_NEWS, {"since": least_id_at(since), "news": news}).all()
