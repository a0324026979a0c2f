from functions.edge import drop_package_list, endpoints
from shared.domain.access.permissions import Permission
from shared.domain.catalog.queries import get_event
from shared.domain.ledger import reconciling, repairing
from shared.domain.ledger.errors import NoSuchFinding, NotRepairable
from shared.domain.ledger.schemas import FindingOut, ReconciliationOut, RepairOut
from shared.domain.payments.provider import ProviderDown
from shared.kit.db.unit_of_work import raw_connection
from shared.kit.http.call import Call
from shared.kit.http.problems import DependencyDown

bp = endpoints("Reconciliation", after_write=drop_package_list)

_PATH = "v1/admin/events/{event_id}/reconciliation"


@bp.get(_PATH, permission=Permission.RECONCILIATION_READ)
def get_reconciliation(call: Call) -> ReconciliationOut:
    """Check whether the event's books agree: orders, stock, promo codes, tickets, ledger, and the payment provider."""
    get_event(call.session, call.event_id)
    call.unit_of_work.commit()  # the provider is not asked inside a transaction
    with raw_connection() as connection:
        checked = reconciling.check_books(connection, call.event_id, now=call.now)
        payments = reconciling.open_payments(connection, call.event_id, now=call.now)
    differing: list[FindingOut] = []
    answered = True
    try:
        differing = reconciling.ask_provider(payments)
    except ProviderDown:
        answered = False
    findings = checked.findings + differing
    return ReconciliationOut(checked_at=call.now, findings=findings, provider_answered=answered)


@bp.post(
    f"{_PATH}/{{finding_id}}/repair",
    permission=Permission.RECONCILIATION_WRITE,
    refusals=(NoSuchFinding, NotRepairable),
)
def repair_finding(call: Call, finding_id: str) -> RepairOut:
    """Repair a finding, if it still holds; repairing twice has the same effect as once."""
    get_event(call.session, call.event_id)
    call.unit_of_work.commit()
    try:
        with raw_connection() as connection:
            told = repairing.ask_about(connection, call.event_id, finding_id)
    except ProviderDown as error:
        raise DependencyDown("The payment provider does not answer.", dependency="payments") from error
    repaired = repairing.repair(call.session, call.event_id, finding_id, told=told, actor=call.actor, now=call.now)
    return RepairOut(id=finding_id, repaired=repaired)
