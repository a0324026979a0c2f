from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.domain.messaging.kinds import KINDS
from shared.kit.ids import least_id_at

# One look at the end of the primary key an event, however much it has sold: whatever changes its sales (a payment, a
# refund, a gift) queues a message, and ids are in the order of time.
_NEWS = text(
    """
    SELECT e.id FROM events e
     WHERE EXISTS (SELECT FROM outbox m WHERE m.event_id = e.id AND m.id >= :since AND m.kind = ANY(:news))
    """
)


def events_with_news(session: Session, *, since: datetime) -> Sequence[UUID]:
    """The events in which something was sold or refunded since then."""
    news = [kind.name for kind in KINDS if kind.is_news]
    return session.scalars(_NEWS, {"since": least_id_at(since), "news": news}).all()
