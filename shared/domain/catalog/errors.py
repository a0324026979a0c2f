from shared.kit.errors import Conflict, InvalidInput, Mismatch, NotFound


class SlugTaken(Conflict):
    """Another event has this slug."""

    code = "slug_taken"


class EventCancelled(Conflict):
    """The event is cancelled, and that is final."""

    code = "event_cancelled"


class CurrencyLocked(Conflict):
    """The currency can't change once something has been sold."""

    code = "currency_locked"


class NoSuchPackage(NotFound):
    """There is no such ticket package in this event."""

    code = "package_not_found"


class ReorderMismatch(Mismatch):
    """The new order must name every item exactly once."""

    code = "reorder_mismatch"


class PackageHasSales(Conflict):
    """Cannot delete packages with sales."""

    code = "package_has_sales"


class PackageInPromoCodes(Conflict):
    """Promo codes are limited to this package."""

    code = "package_in_promo_codes"


class NoSuchOption(NotFound):
    """There is no such option of this package."""

    code = "option_not_found"


class TooManyOptions(Conflict):
    """Maximum 4 custom options per package."""

    code = "too_many_options"


class OptionHasAnswers(Conflict):
    """Options of packages with sales can't be deleted, only retired."""

    code = "option_has_answers"


class PriceLocked(Conflict):
    """The event locks prices once something is sold."""

    code = "price_locked"


class LimitBelowSales(Conflict):
    """The quantity limit can't go below what is sold and held."""

    code = "limit_below_sales"


class ConfirmationRequired(InvalidInput):
    """Deleting needs confirm=true."""

    code = "confirmation_required"
