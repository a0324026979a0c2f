"""The messages of payments: requests to the provider, until it agrees, and e-mails to the buyer (R-ORD-6, R-ORD-7)."""

from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage

from shared.domain.messaging.emails import About, about_order, amount_text, to_buyer
from shared.domain.messaging.message_kind import MessageKind, OnceErased, Queue
from shared.domain.messaging.settings import MessagingSettings, messaging_settings
from shared.domain.payments.provider import ProviderDown
from shared.domain.payments.queries import get_refund
from shared.domain.payments.schemas import RefundOut
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.mail import Mailer
from shared.kit.outbox.kinds import Message, NotNow

_REASONS = {"paid_wrongly": "the amount that was paid is not what the order costs."}
"""What people read in place of the reasons that the system writes."""
_LATE = (
    "Your payment reached us after your order had ended and its tickets were gone, or the order had already been paid."
)


@contextmanager
def _waiting_for_the_provider() -> Iterator[None]:
    """If the provider does not answer, have the message tried again later."""
    try:
        yield
    except ProviderDown as error:
        raise NotNow(str(error)) from error


def _send_refund(message: Message, _: Mailer) -> None:
    """Ask the provider to send a refund's money back."""
    # `sending` writes messages that are declared here, so importing it at the top would be a circle.
    from shared.domain.payments.sending import send_refund  # noqa: PLC0415

    with _waiting_for_the_provider():
        send_refund(message.event_id, message.id_of("refund_id"), now=utc_now())


def _give_up_payment(message: Message, _: Mailer) -> None:
    """Have the provider cancel the payments of an order that is no longer wanted."""
    from shared.domain.payments.sending import give_up_payments  # noqa: PLC0415 - as above

    with _waiting_for_the_provider():
        give_up_payments(message.event_id, message.id_of("order_id"), now=utc_now())


def _tell_of_refund(message: Message, mailer: Mailer) -> None:
    """Tell a buyer what is refunded, and the reason that the team gave."""
    _tell(message, mailer, is_late=False)


def _tell_of_return(message: Message, mailer: Mailer) -> None:
    """Tell a buyer that a payment goes back because it came too late, or twice."""
    _tell(message, mailer, is_late=True)


PROVIDER_REFUND = MessageKind(
    name="provider_refund",
    queue=Queue.PAYMENTS,
    work=_send_refund,
    until_done=True,
    timeline=None,  # the refund itself is shown, and how far it is
    once_erased=OnceErased.SETTLED,
    is_news=True,
)
GIVE_UP_PAYMENT = MessageKind(
    name="give_up_payment",
    queue=Queue.PAYMENTS,
    work=_give_up_payment,
    until_done=True,
    timeline=None,  # the payment itself is shown
    once_erased=OnceErased.SETTLED,
    is_news=True,
)
REFUND_NOTICE = MessageKind(
    name="refund_notice",
    queue=Queue.EMAIL,
    work=_tell_of_refund,
    timeline="refund_notice",
    once_erased=OnceErased.DROPPED,
    is_news=True,
)
PAYMENT_RETURNED = MessageKind(
    name="payment_returned",
    queue=Queue.EMAIL,
    work=_tell_of_return,
    timeline="payment_returned",
    once_erased=OnceErased.DROPPED,
    is_news=True,
)


def _tell(message: Message, mailer: Mailer, *, is_late: bool) -> None:
    about = about_order(message)
    if about is None:
        return
    with UnitOfWork(read_only=True) as unit_of_work:
        refund = get_refund(unit_of_work.session, message.event_id, message.id_of("refund_id"))
    mailer.send(_notice(about, refund, is_late=is_late, config=messaging_settings()))


def _notice(about: About, refund: RefundOut, *, is_late: bool, config: MessagingSettings) -> EmailMessage:
    order = about.order
    amount = amount_text(refund.amount_cents, order)
    message = to_buyer(about, f"Your refund for {about.event_title} ({order.number})", config=config)
    why = _LATE if is_late else f"Reason: {_REASONS.get(refund.reason, refund.reason)}"
    message.set_content(
        "\n".join(
            [
                f"Hello {order.customer.name},",
                "",
                f"we refund {amount} of your order {order.number} for {about.event_title}.",
                why,
                "When the money arrives depends on your bank; it usually takes a few days.",
                "",
                f"Your order: {about.link}",
                "",
            ]
        )
    )
    return message
