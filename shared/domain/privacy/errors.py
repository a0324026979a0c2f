from shared.kit.errors import Conflict


class CustomerActive(Conflict):
    """The customer still has something ahead: tickets of an event that is not over, or an order under way."""

    code = "customer_active"
