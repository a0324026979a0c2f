from functions.edge import drop_package_list, endpoints
from shared.domain.access.errors import EmailUnverified
from shared.domain.access.permissions import Permission
from shared.domain.catalog import commands, queries
from shared.domain.catalog.errors import CurrencyLocked, EventCancelled, SlugTaken
from shared.domain.catalog.schemas import EventCreate, EventOut, EventPatch
from shared.kit.errors import StaleVersion
from shared.kit.http.call import Call
from shared.kit.pages import Page, PageQuery

bp = endpoints("Events", after_write=drop_package_list)


@bp.post(
    "v1/admin/events",
    permission=Permission.EVENTS_CREATE,
    status=201,
    location="/api/v1/admin/events/{id}",
    refusals=(SlugTaken, EmailUnverified),
)
def create_event(call: Call, body: EventCreate) -> EventOut:
    """Create an event as a draft; you become its coordinator."""
    return EventOut.model_validate(commands.create_event(call.session, body, actor=call.actor, now=call.now))


@bp.get("v1/admin/events", permission=Permission.EVENTS_LIST)
def list_events(call: Call, query: PageQuery) -> Page[EventOut]:
    """List the events whose team you belong to, the next one first."""
    return queries.list_events(call.session, call.actor, query)


@bp.get("v1/admin/events/{event_id}", permission=Permission.EVENTS_READ)
def get_event(call: Call) -> EventOut:
    """Read one event."""
    return queries.get_event(call.session, call.event_id)


@bp.patch("v1/admin/events/{event_id}", permission=Permission.EVENTS_WRITE, refusals=(SlugTaken, CurrencyLocked))
def update_event(call: Call, body: EventPatch) -> EventOut:
    """Change some fields of an event."""
    event = commands.update_event(
        call.session, call.event_id, body, actor=call.actor, if_match=call.if_match, now=call.now
    )
    return EventOut.model_validate(event)


@bp.post(
    "v1/admin/events/{event_id}/publish", permission=Permission.EVENTS_WRITE, refusals=(EventCancelled, StaleVersion)
)
def publish_event(call: Call) -> EventOut:
    """Publish an event: everybody can see it and buy tickets. Publishing twice changes nothing."""
    return EventOut.model_validate(
        commands.publish_event(call.session, call.event_id, actor=call.actor, if_match=call.if_match, now=call.now)
    )


@bp.post("v1/admin/events/{event_id}/cancel", permission=Permission.EVENTS_WRITE, refusals=(StaleVersion,))
def cancel_event(call: Call) -> EventOut:
    """Cancel an event for good: after the answer, nothing more is sold."""
    return EventOut.model_validate(
        commands.cancel_event(call.session, call.event_id, actor=call.actor, if_match=call.if_match, now=call.now)
    )
