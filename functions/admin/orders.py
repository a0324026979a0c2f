from uuid import UUID

from functions.edge import drop_package_list, endpoints, forget_promo_code
from shared.domain.access.errors import PermissionMissing
from shared.domain.access.permissions import Permission
from shared.domain.catalog.queries import get_event
from shared.domain.orders import cancelling, errors, queries
from shared.domain.orders.placing.basket import SalesChannel
from shared.domain.orders.placing.commands import REFUSALS, place_order
from shared.domain.orders.schemas import BoxOfficeOrder, OrderOut, PlacedOrderOut
from shared.domain.orders.search.queries import list_orders as find_orders
from shared.domain.orders.search.schemas import OrderList, OrderListQuery
from shared.domain.orders.team import commands as team
from shared.domain.orders.team.schemas import NoteIn, NoteOut, ResendOut, TeamOrderOut
from shared.domain.orders.team.timeline import with_history
from shared.domain.payments.errors import NotRefundable, RefundExceedsPaid
from shared.domain.payments.queries import get_refund, refunds_of
from shared.domain.payments.refund_rules import Wish
from shared.domain.payments.refunds import refund_order
from shared.domain.payments.schemas import RefundIn, RefundList, RefundOut
from shared.kit.db.idempotency import IdempotencyKeyReused
from shared.kit.db.unit_of_work import raw_connection
from shared.kit.http.call import Call

bp = endpoints("Box office", after_write=drop_package_list)

_ORDERS = "v1/admin/events/{event_id}/orders"


def _replay_order(call: Call, order_id: UUID) -> PlacedOrderOut:
    return queries.get_placed_order(call.session, call.event_id, order_id)


@bp.post(
    _ORDERS,
    permission=Permission.ORDERS_WRITE,
    status=201,
    location=f"/api/{_ORDERS}/{{id}}",
    header_fields={"X-Order-Token": "access_token"},
    replay=_replay_order,
    refusals=(*REFUSALS, PermissionMissing),
)
def create_box_office_order(call: Call, body: BoxOfficeOrder) -> PlacedOrderOut:
    """Sell at the box office: paid at once in cash, by cheque or at a card terminal, or given away (`comp`)."""
    call.unit_of_work.commit()  # as for buyers: the session's connection is given back
    forget_promo_code(call, body.promo_code)
    channel = SalesChannel(
        name="box_office",
        paid_at_once=frozenset({"cash", "cheque", "card_terminal", "comp"}),
        seller=call.actor.user_id,
    )
    with raw_connection() as connection:
        return place_order(
            connection,
            call.event_id,
            body,
            actor=call.actor,
            channel=channel,
            idempotency=call.idempotency,
            now=call.now,
        )


@bp.get(_ORDERS, permission=Permission.ORDERS_READ)
def list_orders(call: Call, query: OrderListQuery) -> OrderList:
    """Find the event's orders by words and by filters, sorted in one of four ways, page by page."""
    get_event(call.session, call.event_id)
    return find_orders(call.session, call.event_id, query)


@bp.get(f"{_ORDERS}/{{order_id}}", permission=Permission.ORDERS_READ, refusals=(errors.NoSuchOrder,))
def get_order(call: Call, order_id: UUID) -> TeamOrderOut:
    """Read an order of the event, with the team's notes and a timeline of everything that has happened to it."""
    return with_history(call.session, queries.get_order_for_team(call.session, call.event_id, order_id))


def _replay_refund(call: Call, refund_id: UUID) -> RefundOut:
    return get_refund(call.session, call.event_id, refund_id)


@bp.post(
    f"{_ORDERS}/{{order_id}}/refund",
    permission=Permission.REFUNDS_WRITE,
    status=201,
    replay=_replay_refund,
    refusals=(errors.NoSuchOrder, NotRefundable, RefundExceedsPaid, IdempotencyKeyReused),
)
def refund_order_payment(call: Call, order_id: UUID, body: RefundIn) -> RefundOut:
    """Refund an order: an amount, tickets, packages, or everything that is left; the buyer gets an e-mail."""
    wish = Wish(body.amount_cents, body.ticket_ids, {item.item_id: item.quantity for item in body.items})
    refund_id = refund_order(
        call.session,
        call.event_id,
        order_id,
        wish,
        reason=body.reason,
        actor=call.actor,
        idempotency=call.idempotency,
        now=call.now,
    )
    return get_refund(call.session, call.event_id, refund_id)


@bp.get(f"{_ORDERS}/{{order_id}}/refunds", permission=Permission.ORDERS_READ, refusals=(errors.NoSuchOrder,))
def list_order_refunds(call: Call, order_id: UUID) -> RefundList:
    """List the order's refunds, the oldest first, with the state of each."""
    queries.get_order_for_team(call.session, call.event_id, order_id)
    return RefundList(items=refunds_of(call.session, call.event_id, order_id))


@bp.post(
    f"{_ORDERS}/{{order_id}}/cancel",
    permission=Permission.ORDERS_CANCEL,
    refusals=(errors.NoSuchOrder, errors.NotCancellable),
)
def cancel_order(call: Call, order_id: UUID) -> OrderOut:
    """Cancel an order that has not been paid or cost nothing; refund a paid order instead."""
    cancelling.cancel(call.session, call.event_id, order_id, actor=call.actor, now=call.now)
    return queries.get_order_for_team(call.session, call.event_id, order_id)


@bp.post(
    f"{_ORDERS}/{{order_id}}/notes", permission=Permission.ORDERS_WRITE, status=201, refusals=(errors.NoSuchOrder,)
)
def add_order_note(call: Call, order_id: UUID, body: NoteIn) -> NoteOut:
    """Write a note about an order for the team; nobody can change it, and buyers never see it."""
    return team.add_note(call.session, call.event_id, order_id, body.text, actor=call.actor, now=call.now)


def _replay_resend(call: Call, message_id: UUID) -> ResendOut:
    return team.get_resend(call.session, call.event_id, message_id)


@bp.post(
    f"{_ORDERS}/{{order_id}}/resend",
    permission=Permission.ORDERS_WRITE,
    status=202,
    replay=_replay_resend,
    refusals=(errors.NoSuchOrder, errors.NothingToSend, errors.ResentTooOften, IdempotencyKeyReused),
)
def resend_confirmation(call: Call, order_id: UUID) -> ResendOut:
    """Send the buyer the confirmation with the tickets again; at most three times an hour."""
    message_id = team.resend(
        call.session, call.event_id, order_id, actor=call.actor, idempotency=call.idempotency, now=call.now
    )
    return team.get_resend(call.session, call.event_id, message_id)
