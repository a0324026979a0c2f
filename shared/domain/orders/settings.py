from typing import ClassVar

from pydantic import Field

from shared.kit.settings.group import Group, read
from shared.kit.settings.values import Key, RateLimitText, Schedule


class OrderSettings(Group):
    """Links of orders, and the timers that look after orders."""

    heading: ClassVar[str] = "Orders"

    order_link_key: Key = Field(
        description="Key that the secret links of orders are made from, and that guests are counted with: 32 bytes in "
        "base64.",
        repr=False,
        exclude=True,
        examples=["<openssl rand -base64 32>"],
    )
    rate_limit_order_links: RateLimitText = Field(
        "60/minute",
        description="Requests with a wrong order link (`X-Order-Token`), per address; the right link always works.",
    )
    rate_limit_orders: RateLimitText | None = Field(
        None,
        description="Orders from one address for one event. If it is not set they are not limited, because many buyers "
        "may share an address; set it while somebody places orders without ever paying.",
        examples=["600/minute"],
    )
    release_schedule: Schedule = Field(
        "30 * * * * *",
        description="When expired orders give their tickets back; a buyer who wants them sooner gets them anyway.",
    )
    order_search_schedule: Schedule = Field(
        "50 * * * * *",
        description="When new orders' words are learnt, so that misspelt searches find them; correct ones always do.",
    )


def order_settings() -> OrderSettings:
    """Return the process's settings of this group."""
    return read(OrderSettings)
