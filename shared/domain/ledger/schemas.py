from typing import Literal
from uuid import UUID

from pydantic import Field

from shared.kit.fields import Moment, Output

type Kind = Literal[
    "issued_not_paid",
    "ledger_mismatch",
    "order_overdue",
    "paid_not_issued",
    "payment_disputed",
    "payment_mismatch",
    "payment_unused",
    "promo_drift",
    "provider_mismatch",
    "refund_failed",
    "refund_stuck",
    "stock_drift",
    "totals_mismatch",
]


class FindingOut(Output):
    """Something in the event's books that does not agree."""

    id: str = Field(description="Stays the same for as long as the finding holds; a repair names it.")
    kind: Kind
    detail: str = Field(description="One sentence for people.")
    repairable: bool
    order_id: UUID | None = None
    package_id: UUID | None = None
    payment_id: UUID | None = None
    promo_code_id: UUID | None = None
    refund_id: UUID | None = None


class ReconciliationOut(Output):
    """What does not agree in the event's books, computed now; at most 200 findings of each kind."""

    checked_at: Moment
    findings: list[FindingOut]
    provider_answered: bool = Field(description="Whether the payment provider answered about the open payments.")


class RepairOut(Output):
    """The result of a repair."""

    id: str
    repaired: bool = Field(description="False if the finding no longer held: there was nothing to do.")
