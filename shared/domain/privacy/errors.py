from shared.kit.errors import Conflict


class CustomerActive(Conflict):
    """The customer still has valid tickets of an event that is not over, or a pending order."""

    code = "customer_active"
