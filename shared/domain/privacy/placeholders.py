"""The values that replace personal data. They show that an order was erased, and no mail can reach the address."""

ERASED = "[erased]"
ERASED_EMAIL = "erased@erased.invalid"  # RFC 2606: nobody can have this domain, and no order is accepted with it


def is_erased(email: str) -> bool:
    """Whether this is the address of an erased customer, who gets no more mail."""
    return email == ERASED_EMAIL
