"""What stands where personal data stood. An erased order reads as one, and no mail can ever reach its address."""

ERASED = "[erased]"
ERASED_EMAIL = "erased@erased.invalid"  # RFC 2606: nobody can have this domain, and no order is accepted with it


def is_erased(email: str) -> bool:
    """Whether this is the address of an erased customer, to whom nothing is sent any more."""
    return email == ERASED_EMAIL
