"""The outbox's functions: a timer publishes messages that were left, and queue functions do the messages."""

import logging

import azure.functions as func

from shared.domain.messaging.kinds import KINDS
from shared.domain.messaging.message_kind import Queue
from shared.domain.messaging.settings import messaging_settings
from shared.kit.jobs import job
from shared.kit.mail import Mailer
from shared.kit.outbox.kinds import register
from shared.kit.outbox.publishing import keys_in, publish_waiting, put_on_queue
from shared.kit.outbox.working import work_on
from shared.kit.settings.mail import mail_settings

log = logging.getLogger(__name__)
bp = func.Blueprint()

register(KINDS)


@bp.function_name("publish_outbox")
@bp.timer_trigger(arg_name="timer", schedule=messaging_settings().outbox_schedule, use_monitor=False)
def publish_outbox(timer: func.TimerRequest) -> None:
    """Put messages on their queues that could not be put there right after their commit."""
    with job("publish_outbox"):
        publish_waiting()


@bp.function_name("deliver_email")
@bp.queue_trigger(arg_name="message", queue_name=Queue.EMAIL.value, connection="AzureWebJobsStorage")
def deliver_email(message: func.QueueMessage) -> None:
    """Send the e-mails of one queue message."""
    with job("deliver_email"):
        _work_through(Queue.EMAIL, message, failure="An e-mail could not be sent")


@bp.function_name("settle_payment")
@bp.queue_trigger(arg_name="message", queue_name=Queue.PAYMENTS.value, connection="AzureWebJobsStorage")
def settle_payment(message: func.QueueMessage) -> None:
    """Tell the payment provider what was decided: refunds, and payments to give up."""
    with job("settle_payment"):
        _work_through(Queue.PAYMENTS, message, failure="The payment provider could not be told")


def _work_through(queue: Queue, queue_message: func.QueueMessage, *, failure: str) -> None:
    """Do all outbox messages that one queue message carries.

    An outbox message that fails together with others is put back on the queue on its own, so that it can't delay the
    others. If it fails alone, the function fails: the host brings it again, and moves it to the poison queue after five
    attempts.
    """
    keys = keys_in(queue_message.get_body())
    with Mailer(mail_settings()) as mailer:
        for key in keys:
            try:
                work_on(key, mailer)
            except Exception as error:
                log.warning("%s (%s)", failure, type(error).__name__)
                if len(keys) == 1:
                    raise
                put_on_queue(queue, [key])
