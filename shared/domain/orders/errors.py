from shared.kit.errors import Conflict, InvalidInput, NotFound


class SoldOut(Conflict):
    """Fewer packages remain than were asked for."""

    code = "sold_out"


class PackageNotOnSale(Conflict):
    """The package can't be bought now."""

    code = "package_not_on_sale"


class QuantityOutOfRange(InvalidInput):
    """The quantity is below or above what one order may have."""

    code = "quantity_out_of_range"


class TooManyTickets(InvalidInput):
    """One order may have at most 1,000 tickets."""

    code = "too_many_tickets"


class InvalidAnswers(InvalidInput):
    """Some answers are missing or wrong; each is named."""

    code = "invalid_answers"


class UnknownPackage(InvalidInput):
    """This event has no such ticket package."""

    code = "unknown_package"


class PaymentMethodUnavailable(InvalidInput):
    """This way of paying is not available here."""

    code = "payment_method_unavailable"


class TooManyForCustomer(Conflict):
    """One customer may not have that many tickets of this event."""

    code = "too_many_for_customer"


class NotCancellable(Conflict):
    """This order can't be cancelled any more."""

    code = "not_cancellable"


class NoSuchOrder(NotFound):
    """There is no such order, or the link to it is not right."""

    code = "order_not_found"


class StockContended(Conflict):
    """The package is being changed at this very moment."""

    code = "stock_contended"


class NothingToSend(Conflict):
    """This order has no valid tickets that could be sent."""

    code = "nothing_to_send"


class ResentTooOften(Conflict):
    """This customer's tickets were sent again too often in a short time."""

    code = "resent_too_often"
