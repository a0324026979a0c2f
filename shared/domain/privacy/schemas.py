from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.kit.fields import Email, Input, Output


class ExportRequest(Input):
    """Whose data to hand out. The address is in the body, so that no log of URLs holds it."""

    email: Email
    after: UUID | None = Field(None, description="`next` of the previous answer, for more than 1,000 orders.")


class ErasureRequest(Input):
    """Whose data to erase."""

    email: Email
    force: bool = Field(
        default=False,
        description="Erase even if the customer has valid tickets of an event that is not over (they stay valid), or"
        " pending orders (they are cancelled).",
    )


class ErasureOut(Output):
    """What was erased; every count is 0 if nothing was left to erase."""

    orders: int
    cancelled_orders: int = Field(description="Pending orders that were cancelled.")
    tickets: int = Field(description="Tickets whose holder was erased.")
    answers: int
    provider_messages: int
    account: Literal["none", "erased", "kept", "not_asked"] = Field(
        description="`kept`: the account belongs to a super admin or to an event's team; remove the member from the"
        " team first. `not_asked`: an erasure in one event does not touch accounts."
    )
    complete: bool = Field(description="False if there is more than one call may erase; repeat the call.")
