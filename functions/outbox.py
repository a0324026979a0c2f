"""The outbox's functions: a timer that publishes what was left, and the queue that sends e-mails."""

import logging
from uuid import UUID

import azure.functions as func
import orjson

from shared.domain.messaging import outbox
from shared.domain.messaging.delivery import deliver, settle
from shared.domain.messaging.settings import messaging_settings
from shared.kit.jobs import job
from shared.kit.mail import Mailer
from shared.kit.settings.mail import mail_settings
from shared.kit.storage.queues import send_message

log = logging.getLogger(__name__)
bp = func.Blueprint()


@bp.function_name("publish_outbox")
@bp.timer_trigger(arg_name="timer", schedule=messaging_settings().outbox_schedule, use_monitor=False)
def publish_outbox(timer: func.TimerRequest) -> None:
    """Put on the queue what could not be put there right after its commit."""
    with job("publish_outbox"):
        outbox.publish_waiting()


@bp.function_name("deliver_email")
@bp.queue_trigger(arg_name="message", queue_name=outbox.EMAIL_QUEUE, connection="AzureWebJobsStorage")
def deliver_email(message: func.QueueMessage) -> None:
    """Send the e-mails of one queue message.

    One that fails in company is put back on its own, so that it can't keep the others waiting; one that fails alone
    fails the function: the host brings it again, and after five times puts it on the poison queue.
    """
    addresses = [(UUID(event), UUID(id_)) for event, id_ in orjson.loads(message.get_body())["messages"]]
    with job("deliver_email"), Mailer(mail_settings()) as mailer:
        for address in addresses:
            try:
                deliver(address, mailer)
            except Exception as error:
                log.warning("An e-mail could not be sent (%s)", type(error).__name__)
                if len(addresses) == 1:
                    raise
                send_message(outbox.EMAIL_QUEUE, {"messages": [[str(part) for part in address]]})


@bp.function_name("settle_payment")
@bp.queue_trigger(arg_name="message", queue_name=outbox.PAYMENTS_QUEUE, connection="AzureWebJobsStorage")
def settle_payment(message: func.QueueMessage) -> None:
    """Tell the payment provider what was decided: refunds, payments to give up. One that fails is tried again alone."""
    addresses = [(UUID(event), UUID(id_)) for event, id_ in orjson.loads(message.get_body())["messages"]]
    with job("settle_payment"):
        for address in addresses:
            try:
                settle(address)
            except Exception as error:
                log.warning("The payment provider could not be told (%s)", type(error).__name__)
                if len(addresses) == 1:
                    raise
                send_message(outbox.PAYMENTS_QUEUE, {"messages": [[str(part) for part in address]]})
