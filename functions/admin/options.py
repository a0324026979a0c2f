from uuid import UUID

from functions.edge import drop_package_list, endpoints
from shared.domain.access.permissions import Permission
from shared.domain.catalog import options
from shared.domain.catalog.errors import NoSuchOption, NoSuchPackage, OptionHasAnswers, ReorderMismatch, TooManyOptions
from shared.domain.catalog.schemas import OptionCreate, OptionList, OptionOut, OptionPatch, OptionReorder
from shared.kit.http.call import Call

bp = endpoints("Custom options", after_write=drop_package_list)

_OPTIONS = "v1/admin/events/{event_id}/ticket-packages/{package_id}/custom-options"


@bp.post(_OPTIONS, permission=Permission.PACKAGES_WRITE, status=201, refusals=(NoSuchPackage, TooManyOptions))
def create_option(call: Call, package_id: UUID, body: OptionCreate) -> OptionOut:
    """Ask the package's buyers one more question; a package can have at most four."""
    return OptionOut.model_validate(
        options.create_option(call.session, call.event_id, package_id, body, actor=call.actor, now=call.now)
    )


@bp.get(_OPTIONS, permission=Permission.PACKAGES_READ, refusals=(NoSuchPackage,))
def list_options(call: Call, package_id: UUID) -> OptionList:
    """List the package's options in the order in which they are asked, retired ones included."""
    return OptionList(items=options.list_options(call.session, call.event_id, package_id))


@bp.put(f"{_OPTIONS}/reorder", permission=Permission.PACKAGES_WRITE, refusals=(NoSuchPackage, ReorderMismatch))
def reorder_options(call: Call, package_id: UUID, body: OptionReorder) -> OptionList:
    """Ask the options in another order; the request names every option once."""
    options.reorder_options(call.session, call.event_id, package_id, body.option_ids, actor=call.actor, now=call.now)
    return OptionList(items=options.list_options(call.session, call.event_id, package_id))


@bp.patch(
    f"{_OPTIONS}/{{option_id}}",
    permission=Permission.PACKAGES_WRITE,
    refusals=(NoSuchPackage, NoSuchOption, TooManyOptions),
)
def update_option(call: Call, package_id: UUID, option_id: UUID, body: OptionPatch) -> OptionOut:
    """Change an option, retire it (`is_active: false`) or ask it again."""
    return OptionOut.model_validate(
        options.update_option(call.session, call.event_id, package_id, option_id, body, actor=call.actor, now=call.now)
    )


@bp.delete(
    f"{_OPTIONS}/{{option_id}}",
    permission=Permission.PACKAGES_WRITE,
    status=204,
    refusals=(NoSuchPackage, NoSuchOption, OptionHasAnswers),
)
def delete_option(call: Call, package_id: UUID, option_id: UUID) -> None:
    """Delete an option of a package without sales; with sales it can only be retired."""
    options.delete_option(call.session, call.event_id, package_id, option_id, actor=call.actor, now=call.now)
