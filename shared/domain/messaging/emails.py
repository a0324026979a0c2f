"""What our e-mails say."""

from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from html import escape
from uuid import UUID

from shared.domain.messaging.settings import MessagingSettings
from shared.domain.orders.schemas import OrderOut
from shared.domain.payments.schemas import RefundOut
from shared.kit.ids import made_at
from shared.kit.money import decimal_text

_REASONS = {"paid_wrongly": "the amount that was paid is not what the order costs."}
"""What people read in place of reasons that are no person's own words."""


@dataclass(frozen=True, slots=True)
class About:
    """The order that a message is about, and the outbox row that asks for it."""

    order: OrderOut
    event_title: str
    link: str
    message_id: UUID


def order_confirmation(about: About, *, config: MessagingSettings) -> EmailMessage:
    """Return the message that brings a buyer the order and its tickets."""
    order = about.order
    message = _message(about, f"Your tickets for {about.event_title} ({order.number})", config=config)
    message.set_content(_as_text(order, about.event_title, about.link))
    message.add_alternative(_as_html(order, about.event_title, about.link), subtype="html")
    return message


def refund_notice(about: About, refund: RefundOut, *, is_late: bool, config: MessagingSettings) -> EmailMessage:
    """Return the message that tells a buyer what goes back to them, and why."""
    order = about.order
    message = _message(about, f"Your refund for {about.event_title} ({order.number})", config=config)
    why = (
        "Your payment reached us after your order had ended, and the tickets were gone by then; "
        "or the order had been paid already."
        if is_late
        else f"Reason: {_REASONS.get(refund.reason, refund.reason)}"
    )
    message.set_content(
        "\n".join(
            [
                f"Hello {order.customer.name},",
                "",
                f"we refund {_amount(refund.amount_cents, order)} of your order {order.number}, {about.event_title}.",
                why,
                "How long it takes until it arrives depends on your bank; usually a few days.",
                "",
                f"Your order: {about.link}",
                "",
            ]
        )
    )
    return message


def _message(about: About, subject: str, *, config: MessagingSettings) -> EmailMessage:
    return envelope(about.order.customer.email, subject, message_id=about.message_id, config=config)


def envelope(to: str, subject: str, *, message_id: UUID, config: MessagingSettings) -> EmailMessage:
    """Return a message without its text.

    The Message-ID comes from the outbox row: should it ever be sent twice, mailboxes can tell that it is one.
    """
    message = EmailMessage()
    message["From"] = config.mail_from
    message["To"] = to
    message["Subject"] = _one_line(subject)
    message["Date"] = format_datetime(made_at(message_id))  # not of its cause: it may be sent again much later
    domain = parseaddr(config.mail_from)[1].rpartition("@")[2] or "localhost"
    message["Message-ID"] = f"<{message_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    return message


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _amount(cents: int, order: OrderOut) -> str:
    return f"{decimal_text(cents, order.currency)} {order.currency}"


def _charges(order: OrderOut) -> list[tuple[str, str]]:
    """What is added to the prices, and what they contain."""
    charges = [
        ("Fees", order.fee_cents),
        ("Tax", order.tax_cents),
        ("Included tax", order.included_tax_cents),
    ]
    return [(what, _amount(cents, order)) for what, cents in charges if cents]


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
            *(f"  {what}: {amount}" for what, amount in _charges(order)),
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
    items += "".join(f"<tr><td>{what}</td><td>{amount}</td></tr>" for what, amount in _charges(order))
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
