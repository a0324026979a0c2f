from shared.kit.errors import Conflict, InvalidInput, NotFound


class NoSuchPromoCode(NotFound):
    """There is no such promo code in this event."""

    code = "promo_code_not_found"


class PromoCodeTaken(Conflict):
    """The event already has a promo code of this name."""

    code = "promo_code_taken"


class PromoCodeRedeemed(Conflict):
    """Redeemed codes can't be deleted, only deactivated."""

    code = "promo_code_redeemed"


class UsesBelowRedeemed(Conflict):
    """The total can't be lower than the number of uses so far."""

    code = "uses_below_redeemed"


class PromoCodeUnknown(InvalidInput):
    """This promo code is not known here."""

    code = "promo_code_unknown"


class PromoCodeInactive(InvalidInput):
    """This promo code is not active."""

    code = "promo_code_inactive"


class PromoCodeNotStarted(InvalidInput):
    """This promo code is not valid yet."""

    code = "promo_code_not_started"


class PromoCodeExpired(InvalidInput):
    """This promo code has expired."""

    code = "promo_code_expired"


class PromoCodeUsedUp(InvalidInput):
    """This promo code has been used up."""

    code = "promo_code_used_up"


class PromoCodeUsedByCustomer(InvalidInput):
    """You have used this promo code as often as is allowed."""

    code = "promo_code_used_by_customer"


class PromoCodeNotForThese(InvalidInput):
    """This promo code is not for any of these packages."""

    code = "promo_code_not_for_these"


class PromoCodeBelowMinimum(InvalidInput):
    """The order is too small for this promo code."""

    code = "promo_code_below_minimum"


REFUSALS = (
    PromoCodeUnknown,
    PromoCodeInactive,
    PromoCodeNotStarted,
    PromoCodeExpired,
    PromoCodeUsedUp,
    PromoCodeUsedByCustomer,
    PromoCodeNotForThese,
    PromoCodeBelowMinimum,
)
