"""Doing what the outbox asks: each message once, however often the queue brings it."""

from uuid import UUID

from shared.domain.catalog.queries import get_event
from shared.domain.messaging import emails, outbox
from shared.domain.orders.links import access_token
from shared.domain.orders.queries import get_order_for_mail
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.mail import Mailer
from shared.kit.settings import settings


def deliver(address: outbox.Address, mailer: Mailer) -> None:
    """Send the e-mail that an outbox message asks for; one that was sent already is not sent again.

    Raises what went wrong, after noting it with the message; the queue brings it again.
    """
    work = outbox.begin_work(address, now=utc_now())
    if work is None:
        return
    _, payload = work
    try:
        _send_confirmation(address, UUID(str(payload["order_id"])), mailer)
    except Exception as error:
        outbox.finish_work(address, now=utc_now(), error=f"{type(error).__name__}: {error}"[:500])
        raise
    outbox.finish_work(address, now=utc_now())


def _send_confirmation(address: outbox.Address, order_id: UUID, mailer: Mailer) -> None:
    event_id, message_id = address
    with UnitOfWork(read_only=True) as unit_of_work:
        order = get_order_for_mail(unit_of_work.session, event_id, order_id)
        event = get_event(unit_of_work.session, event_id)
    if order is None:
        return
    config = settings()
    link = f"{config.public_url}/api/v1/public/orders/{order_id}/page#{access_token(order_id)}"
    message = emails.order_confirmation(order, event_title=event.title, link=link, message_id=message_id, config=config)
    mailer.send(message)
