import orjson

from functions.edge import drop_package_list, endpoints
from shared.domain.access.permissions import Permission
from shared.domain.catalog.queries import get_event
from shared.domain.privacy import erasing, exporting
from shared.domain.privacy.errors import CustomerActive
from shared.domain.privacy.schemas import ErasureOut, ErasureRequest, ExportRequest
from shared.kit.http.call import Call, Content

# An erasure may cancel pending orders, which releases what they held.
bp = endpoints("Privacy", after_write=drop_package_list)

_EVENT = "v1/admin/events/{event_id}/privacy"
_JSON = "application/json"


@bp.post("v1/admin/privacy/exports", permission=Permission.PRIVACY_EVERYWHERE, content_type=_JSON)
def export_personal_data(call: Call, body: ExportRequest) -> Content:
    """Export all data about an e-mail address, in all events, as one file; for super admins."""
    return _export(call, body)


@bp.post("v1/admin/privacy/erasures", permission=Permission.PRIVACY_EVERYWHERE, refusals=(CustomerActive,))
def erase_personal_data(call: Call, body: ErasureRequest) -> ErasureOut:
    """Erase all personal data of an e-mail address, in all events, and its account; for super admins.

    Orders keep their numbers, dates and amounts. Repeat the request until the answer says `complete`.
    """
    return _erase(call, body)


@bp.post(f"{_EVENT}/export", permission=Permission.PRIVACY_WRITE, content_type=_JSON)
def export_event_personal_data(call: Call, body: ExportRequest) -> Content:
    """Export all data about an e-mail address in the event, as one file."""
    get_event(call.session, call.event_id)
    return _export(call, body)


@bp.post(f"{_EVENT}/erase", permission=Permission.PRIVACY_WRITE, refusals=(CustomerActive,))
def erase_event_personal_data(call: Call, body: ErasureRequest) -> ErasureOut:
    """Erase all personal data of an e-mail address in the event; orders keep their numbers, dates and amounts."""
    get_event(call.session, call.event_id)
    return _erase(call, body)


def _export(call: Call, body: ExportRequest) -> Content:
    document = exporting.export(
        call.session, body.email, event_id=call.event, after=body.after, actor=call.actor, now=call.now
    )
    return Content(
        orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z),
        _JSON,
        file_name="personal-data.json",
        headers={"Cache-Control": "no-store"},
    )


def _erase(call: Call, body: ErasureRequest) -> ErasureOut:
    return erasing.erase(
        call.session, body.email, event_id=call.event, force=body.force, actor=call.actor, now=call.now
    )
