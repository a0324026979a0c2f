"""Every kind of message. To add one, declare it in the area that it belongs to, and list it here."""

from shared.domain.messaging.message_kind import MessageKind
from shared.domain.orders.messages import ORDER_CONFIRMATION
from shared.domain.payments.messages import GIVE_UP_PAYMENT, PAYMENT_RETURNED, PROVIDER_REFUND, REFUND_NOTICE
from shared.domain.reports.messages import REPORT_NOTICE

KINDS: tuple[MessageKind, ...] = (
    ORDER_CONFIRMATION,
    REFUND_NOTICE,
    PAYMENT_RETURNED,
    PROVIDER_REFUND,
    GIVE_UP_PAYMENT,
    REPORT_NOTICE,
)
