"""The messages that orders send: the confirmation, with the tickets (R-TKT-6)."""

from email.message import EmailMessage
from html import escape

from shared.domain.messaging.emails import About, about_order, amount_text, to_buyer
from shared.domain.messaging.message_kind import MessageKind, OnceErased, Queue
from shared.domain.messaging.settings import MessagingSettings, messaging_settings
from shared.domain.orders.schemas import OrderOut
from shared.kit.mail import Mailer
from shared.kit.outbox.kinds import Message


def _send_confirmation(message: Message, mailer: Mailer) -> None:
    """Send the buyer the order and its tickets."""
    about = about_order(message)
    if about is not None:
        mailer.send(_confirmation(about, config=messaging_settings()))


ORDER_CONFIRMATION = MessageKind(
    name="order_confirmation",
    queue=Queue.EMAIL,
    work=_send_confirmation,
    timeline="order_confirmation",
    once_erased=OnceErased.DROPPED,
    is_news=True,
)


def _confirmation(about: About, *, config: MessagingSettings) -> EmailMessage:
    order = about.order
    message = to_buyer(about, f"Your tickets for {about.event_title} ({order.number})", config=config)
    message.set_content(_as_text(order, about.event_title, about.link))
    message.add_alternative(_as_html(order, about.event_title, about.link), subtype="html")
    return message


def _charges(order: OrderOut) -> list[tuple[str, str]]:
    """The fees and the tax that are added to the prices, and the tax that the prices include."""
    charges = [
        ("Fees", order.fee_cents),
        ("Tax", order.tax_cents),
        ("Included tax", order.included_tax_cents),
    ]
    return [(what, amount_text(cents, order)) for what, cents in charges if cents]


def _as_text(order: OrderOut, event_title: str, link: str) -> str:
    items = [f"  {item.quantity} × {item.description}: {amount_text(item.total_cents, order)}" for item in order.items]
    tickets = [f"  {ticket.number}\n  {ticket.code}" for ticket in order.tickets]
    return "\n".join(
        [
            f"Hello {order.customer.name},",
            "",
            f"thank you for your order {order.number} for {event_title}.",
            "",
            *items,
            *(f"  {what}: {amount}" for what, amount in _charges(order)),
            f"  Total: {amount_text(order.total_cents, order)}",
            "",
            "Your tickets (the code is scanned at the door):",
            "",
            *tickets,
            "",
            f"Your order: {link}",
            "Anybody who has this link can see the order; keep it to yourself.",
            "",
        ]
    )


def _as_html(order: OrderOut, event_title: str, link: str) -> str:
    items = "".join(
        f"<tr><td>{item.quantity} × {escape(item.description)}</td><td>{amount_text(item.total_cents, order)}</td></tr>"
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
        f"<table>{items}<tr><td>Total</td><td>{amount_text(order.total_cents, order)}</td></tr></table>"
        f"<p>Your tickets (the code is scanned at the door):</p><ul>{tickets}</ul>"
        f'<p><a href="{escape(link)}">Your order</a>. Anybody who has this link can see it; keep it to yourself.</p>'
    )
