from shared.kit.errors import Conflict, InvalidInput


class NothingToPay(Conflict):
    """This order is not waiting for a payment."""

    code = "nothing_to_pay"


class PaymentsUnavailable(InvalidInput):
    """Nothing can be paid online here."""

    code = "payments_unavailable"


class PaymentRefused(Conflict):
    """The payment provider has refused."""

    code = "payment_refused"


class RefundExceedsPaid(Conflict):
    """You can't refund more than was paid."""

    code = "refund_exceeds_paid"


class NotRefundable(Conflict):
    """Nothing of this order can be refunded."""

    code = "not_refundable"
