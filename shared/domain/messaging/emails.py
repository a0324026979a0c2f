"""What our e-mails say."""

from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from html import escape
from uuid import UUID

from shared.domain.orders.schemas import OrderOut
from shared.kit.money import decimal_text
from shared.kit.settings import Settings


def order_confirmation(
    order: OrderOut, *, event_title: str, link: str, message_id: UUID, config: Settings
) -> EmailMessage:
    """Return the message that brings a buyer the order and its tickets.

    The Message-ID comes from the outbox row: should the message ever be sent twice, mailboxes can tell that it is one.
    """
    message = EmailMessage()
    message["From"] = config.mail_from
    message["To"] = order.customer.email
    message["Subject"] = _one_line(f"Your tickets for {event_title} ({order.number})")
    message["Date"] = format_datetime(order.created_at)
    message["Message-ID"] = f"<{message_id}@{parseaddr(config.mail_from)[1].rpartition('@')[2] or 'localhost'}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_as_text(order, event_title, link))
    message.add_alternative(_as_html(order, event_title, link), subtype="html")
    return message


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _amount(cents: int, order: OrderOut) -> str:
    return f"{decimal_text(cents, order.currency)} {order.currency}"


def _as_text(order: OrderOut, event_title: str, link: str) -> str:
    items = [f"  {item.quantity} × {item.description}: {_amount(item.total_cents, order)}" for item in order.items]
    tickets = [f"  {ticket.number}\n  {ticket.code}" for ticket in order.tickets]
    return "\n".join(
        [
            f"Hello {order.customer.name},",
            "",
            f"thank you for your order {order.number} for {event_title}.",
            "",
            *items,
            f"  Total: {_amount(order.total_cents, order)}",
            "",
            "Your tickets (the code is what the door scans):",
            "",
            *tickets,
            "",
            f"Your order: {link}",
            "Whoever has this link can see the order; keep it to yourself.",
            "",
        ]
    )


def _as_html(order: OrderOut, event_title: str, link: str) -> str:
    items = "".join(
        f"<tr><td>{item.quantity} × {escape(item.description)}</td><td>{_amount(item.total_cents, order)}</td></tr>"
        for item in order.items
    )
    tickets = "".join(
        f"<li><strong>{escape(ticket.number)}</strong><br><code>{escape(ticket.code)}</code></li>"
        for ticket in order.tickets
    )
    return (
        f"<p>Hello {escape(order.customer.name)},</p>"
        f"<p>thank you for your order <strong>{escape(order.number)}</strong> for {escape(event_title)}.</p>"
        f"<table>{items}<tr><td>Total</td><td>{_amount(order.total_cents, order)}</td></tr></table>"
        f"<p>Your tickets (the code is what the door scans):</p><ul>{tickets}</ul>"
        f'<p><a href="{escape(link)}">Your order</a>. Whoever has this link can see it; keep it to yourself.</p>'
    )
