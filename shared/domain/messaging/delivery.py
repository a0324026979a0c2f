"""Doing what the outbox asks: each message once, however often the queue brings it."""

from collections.abc import Callable
from uuid import UUID

from shared.domain.access.permissions import Role
from shared.domain.access.queries import list_members
from shared.domain.catalog.queries import get_event
from shared.domain.messaging import emails, outbox
from shared.domain.messaging.report_notice import ReportNotice, report_notice
from shared.domain.messaging.settings import messaging_settings
from shared.domain.orders.links import access_token
from shared.domain.orders.queries import get_order_for_mail
from shared.domain.payments.provider import ProviderDown
from shared.domain.payments.queries import refunds_of
from shared.domain.payments.sending import give_up_payments, send_refund
from shared.domain.privacy.placeholders import is_erased
from shared.kit.clock import utc_now
from shared.kit.db.unit_of_work import UnitOfWork
from shared.kit.mail import Mailer
from shared.kit.settings.app import app_settings
from shared.kit.tracing import working_on


def deliver(address: outbox.Address, mailer: Mailer) -> None:
    """Send the e-mail that an outbox message asks for; one that was sent already is not sent again.

    Raises what went wrong, after noting it with the message; the queue brings it again.
    """
    _work_on(address, lambda kind, payload: _send(address, kind, payload, mailer))


def settle(address: outbox.Address) -> None:
    """Tell the payment provider what an outbox message asks for; while it does not answer, that waits for it.

    Raises anything else, as `deliver` does.
    """
    _work_on(address, lambda kind, payload: _tell_provider(address[0], kind, payload))


def _tell_provider(event_id: UUID, kind: str, payload: dict[str, object]) -> None:
    if kind == "give_up_payment":
        give_up_payments(event_id, UUID(str(payload["order_id"])), now=utc_now())
    else:
        send_refund(event_id, UUID(str(payload["refund_id"])), now=utc_now())


def _work_on(address: outbox.Address, work: Callable[[str, dict[str, object]], None]) -> None:
    begun = outbox.begin_work(address, now=utc_now())
    if begun is None:
        return
    kind, payload = begun
    cause = payload.get("traceparent")
    try:
        with working_on(kind, traceparent=cause if isinstance(cause, str) else None):
            work(kind, payload)
    except ProviderDown as error:
        outbox.postpone_work(address, now=utc_now(), error=f"{error}"[:500])
    except Exception as error:
        outbox.finish_work(address, now=utc_now(), error=f"{type(error).__name__}: {error}"[:500])
        raise
    else:
        outbox.finish_work(address, now=utc_now())


def _send(address: outbox.Address, kind: str, payload: dict[str, object], mailer: Mailer) -> None:
    if kind == "report_notice":
        _send_report_notice(address, payload, mailer)
        return
    event_id, message_id = address
    order_id = UUID(str(payload["order_id"]))
    with UnitOfWork(read_only=True) as unit_of_work:
        order = get_order_for_mail(unit_of_work.session, event_id, order_id)
        event = get_event(unit_of_work.session, event_id)
        refunds = refunds_of(unit_of_work.session, event_id, order_id) if "refund_id" in payload else []
    if order is None or is_erased(order.customer.email):
        return
    config = messaging_settings()
    link = f"{app_settings().public_url}/api/v1/public/orders/{order_id}/page#{access_token(order_id)}"
    about = emails.About(order, event.title, link, message_id)
    if kind == "order_confirmation":
        mailer.send(emails.order_confirmation(about, config=config))
        return
    refund = next(refund for refund in refunds if str(refund.id) == payload["refund_id"])
    mailer.send(emails.refund_notice(about, refund, is_late=kind == "payment_returned", config=config))


def _send_report_notice(address: outbox.Address, payload: dict[str, object], mailer: Mailer) -> None:
    """Tell a coordinator that reports are ready; whoever is none any more hears nothing."""
    event_id, message_id = address
    notice = ReportNotice.model_validate(payload)
    with UnitOfWork(read_only=True) as unit_of_work:
        event = get_event(unit_of_work.session, event_id)
        members = list_members(unit_of_work.session, event_id)
    if any(member.email == notice.to and member.role is Role.COORDINATOR for member in members):
        mailer.send(report_notice(notice, event, message_id=message_id, config=messaging_settings()))
