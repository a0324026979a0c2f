from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.kit.fields import Email, Input, Output


class ExportRequest(Input):
    """Whose data to hand out; the address is in the body, so that no log of addresses has it."""

    email: Email
    after: UUID | None = Field(None, description="Where the answer before ended (`next`), for more than 1,000 orders.")


class ErasureRequest(Input):
    """Whose data to erase."""

    email: Email
    force: bool = Field(
        default=False,
        description="Erase although the customer has valid tickets of an event that is not over (they stay valid) or"
        " orders under way (they are cancelled).",
    )


class ErasureOut(Output):
    """What was erased; all of it 0 where nothing is left to erase."""

    orders: int
    cancelled_orders: int = Field(description="Those that were waiting for their payment.")
    tickets: int = Field(description="Tickets whose holder was erased.")
    answers: int
    provider_messages: int
    account: Literal["none", "erased", "kept", "not_asked"] = Field(
        description="`kept`: they belong to an event's team, which is left by the team's own route. `not_asked`: an"
        " event's coordinator has no say in accounts."
    )
    complete: bool = Field(description="False: there was more than one call may do; ask again.")
