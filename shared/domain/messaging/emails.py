"""What all our e-mails have in common: their headers, and the facts about an order that its e-mails need."""

from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from uuid import UUID

from shared.domain.catalog.queries import get_event
from shared.domain.messaging.settings import MessagingSettings
from shared.domain.orders.links import access_token
from shared.domain.orders.queries import get_order_for_mail
from shared.domain.orders.schemas import OrderOut
from shared.domain.privacy.placeholders import is_erased
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.ids import made_at
from shared.kit.money import decimal_text
from shared.kit.outbox.kinds import Message
from shared.kit.settings.app import app_settings


@dataclass(frozen=True, slots=True)
class About:
    """The order that a message is about, and the id of the message's row in the outbox."""

    order: OrderOut
    event_title: str
    link: str
    message_id: UUID


def about_order(message: Message) -> About | None:
    """Read the order that a message is about, as it is now; returns None if it is gone or its buyer was erased."""
    order_id = message.id_of("order_id")
    with UnitOfWork(read_only=True) as unit_of_work:
        order = get_order_for_mail(unit_of_work.session, message.event_id, order_id)
        event = get_event(unit_of_work.session, message.event_id)
    if order is None or is_erased(order.customer.email):
        return None
    link = f"{app_settings().public_url}/api/v1/public/orders/{order_id}/page#{access_token(order_id)}"
    return About(order, event.title, link, message.id)


def to_buyer(about: About, subject: str, *, config: MessagingSettings) -> EmailMessage:
    """Return a message to the buyer of an order, without its text."""
    return envelope(about.order.customer.email, subject, message_id=about.message_id, config=config)


def envelope(to: str, subject: str, *, message_id: UUID, config: MessagingSettings) -> EmailMessage:
    """Return a message without its text.

    The Message-ID comes from the outbox row. If the message is ever sent twice, mailboxes can tell that it is the same.
    """
    message = EmailMessage()
    message["From"] = config.mail_from
    message["To"] = to
    message["Subject"] = _one_line(subject)
    message["Date"] = format_datetime(made_at(message_id))  # not the time of its cause: it may be sent again much later
    domain = parseaddr(config.mail_from)[1].rpartition("@")[2] or "localhost"
    message["Message-ID"] = f"<{message_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    return message


def amount_text(cents: int, order: OrderOut) -> str:
    """Return an amount in the order's currency, in the form that people read."""
    return f"{decimal_text(cents, order.currency)} {order.currency}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
