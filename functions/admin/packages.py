from uuid import UUID

from functions.edge import drop_package_list, endpoints
from shared.domain.access.permissions import Permission
from shared.domain.catalog import commands, queries
from shared.domain.catalog.errors import (
    ConfirmationRequired,
    LimitBelowSales,
    NoSuchPackage,
    PackageHasSales,
    PackageInPromoCodes,
    PriceLocked,
    ReorderMismatch,
)
from shared.domain.catalog.schemas import (
    Availability,
    DeleteQuery,
    EditWarning,
    PackageCreate,
    PackageList,
    PackageListQuery,
    PackageOut,
    PackagePatch,
    PackagePatched,
    Reorder,
)
from shared.kit.errors import StaleVersion
from shared.kit.http.call import Call
from shared.kit.pages import Page
from shared.kit.storage.blobs import PUBLIC, delete_quietly

bp = endpoints("Ticket packages", after_write=drop_package_list)

_PACKAGES = "v1/admin/events/{event_id}/ticket-packages"
_HAS_SALES = EditWarning(
    code="package_has_sales", detail="Tickets of this package have been sold; the change applies only to later buyers."
)


@bp.post(_PACKAGES, permission=Permission.PACKAGES_WRITE, status=201, location=f"/api/{_PACKAGES}/{{id}}")
def create_package(call: Call, body: PackageCreate) -> PackageOut:
    """Add a ticket package to the event; it is shown last."""
    package, stock, currency = commands.create_package(
        call.session, call.event_id, body, actor=call.actor, now=call.now
    )
    return PackageOut.model_validate(queries.package_fields(package, stock, currency, options=[]))


@bp.get(_PACKAGES, permission=Permission.PACKAGES_READ)
def list_packages(call: Call, query: PackageListQuery) -> Page[PackageOut]:
    """List the event's ticket packages in display order."""
    return queries.list_packages(call.session, call.event_id, query)


@bp.put(f"{_PACKAGES}/reorder", permission=Permission.PACKAGES_WRITE, refusals=(ReorderMismatch,))
def reorder_packages(call: Call, body: Reorder) -> PackageList:
    """Show the packages in another order; the request names every package once."""
    commands.reorder_packages(call.session, call.event_id, body.package_ids, actor=call.actor, now=call.now)
    return PackageList(items=queries.all_packages(call.session, call.event_id))


@bp.get(f"{_PACKAGES}/{{package_id}}/availability", permission=Permission.PACKAGES_READ, refusals=(NoSuchPackage,))
def get_package_availability(call: Call, package_id: UUID) -> Availability:
    """See whether a ticket package can be bought now, and if not, why."""
    return queries.get_availability(call.session, call.event_id, package_id, now=call.now)


@bp.get(f"{_PACKAGES}/{{package_id}}", permission=Permission.PACKAGES_READ, refusals=(NoSuchPackage,))
def get_package(call: Call, package_id: UUID) -> PackageOut:
    """Read one ticket package."""
    return queries.get_package(call.session, call.event_id, package_id)


@bp.patch(
    f"{_PACKAGES}/{{package_id}}",
    permission=Permission.PACKAGES_WRITE,
    refusals=(NoSuchPackage, LimitBelowSales, PriceLocked),
)
def update_package(call: Call, package_id: UUID, body: PackagePatch) -> PackagePatched:
    """Change some fields of a ticket package; if it has sales, the answer has a warning."""
    has_sales = commands.update_package(
        call.session, call.event_id, package_id, body, actor=call.actor, if_match=call.if_match, now=call.now
    )
    package = queries.get_package(call.session, call.event_id, package_id)
    return PackagePatched(**dict(package), warnings=[_HAS_SALES] if has_sales else [])


@bp.post(
    f"{_PACKAGES}/{{package_id}}/enable", permission=Permission.PACKAGES_WRITE, refusals=(NoSuchPackage, StaleVersion)
)
def enable_package(call: Call, package_id: UUID) -> PackageOut:
    """Let buyers buy this ticket package again."""
    return _set_enabled(call, package_id, enabled=True)


@bp.post(
    f"{_PACKAGES}/{{package_id}}/disable", permission=Permission.PACKAGES_WRITE, refusals=(NoSuchPackage, StaleVersion)
)
def disable_package(call: Call, package_id: UUID) -> PackageOut:
    """Stop selling this ticket package: after the answer, nobody can buy it."""
    return _set_enabled(call, package_id, enabled=False)


@bp.delete(
    f"{_PACKAGES}/{{package_id}}",
    permission=Permission.PACKAGES_WRITE,
    status=204,
    refusals=(NoSuchPackage, PackageHasSales, PackageInPromoCodes, ConfirmationRequired),
)
def delete_package(call: Call, package_id: UUID, query: DeleteQuery) -> None:
    """Delete a ticket package without sales; this needs `?confirm=true`."""
    leftover = commands.delete_package(
        call.session,
        call.event_id,
        package_id,
        confirmed=query.confirm,
        actor=call.actor,
        if_match=call.if_match,
        now=call.now,
    )
    call.unit_of_work.after_commit(lambda: delete_quietly(PUBLIC, leftover))


def _set_enabled(call: Call, package_id: UUID, *, enabled: bool) -> PackageOut:
    commands.set_enabled(
        call.session, call.event_id, package_id, enabled=enabled, actor=call.actor, if_match=call.if_match, now=call.now
    )
    return queries.get_package(call.session, call.event_id, package_id)
