from uuid import UUID

from functions.edge import ORDER_LINK, drop_package_list_of, endpoints, lock_order, open_order, reopen_order
from shared.domain.access.permissions import Permission
from shared.domain.orders import errors as order_errors
from shared.domain.orders.cancelling import cancel_pending
from shared.domain.orders.schemas import OrderOut
from shared.domain.payments import commands, errors
from shared.domain.payments.provider import BadSignature, Facts, ProviderDown, UnreadableMessage
from shared.domain.payments.queries import latest_payment, payments_given_up
from shared.domain.payments.schemas import MessageTaken, PaymentConfirm, PaymentIntentOut
from shared.domain.payments.settings import payment_settings
from shared.kit.db.idempotency import IdempotencyKeyReused
from shared.kit.http.call import Call
from shared.kit.http.problems import DependencyDown, MalformedJson, UnsignedMessage

bp = endpoints("Payments")

_ORDER = "v1/public/orders/{order_id}"


def _begin(call: Call, order_id: UUID) -> tuple[OrderOut, Facts]:
    """Begin the payment, or continue the one that was begun: asking twice begins only one."""
    order = open_order(call, order_id, to_pay=True)
    attempt = payments_given_up(call.session, order.event_id, order_id)
    call.unit_of_work.commit()  # the provider is not asked inside a transaction
    try:
        facts = commands.open_payment(order, attempt=attempt, now=call.now)
    except ProviderDown as error:
        raise DependencyDown("The payment provider does not answer.", dependency="payments") from error
    return order, facts


def _begun(call: Call, order_id: UUID) -> PaymentIntentOut:
    return _intent_out(*_begin(call, order_id))


def _intent_out(order: OrderOut, facts: Facts) -> PaymentIntentOut:
    assert order.expires_at is not None
    return PaymentIntentOut.model_validate(
        {
            "order_id": order.id,
            "provider": commands.require_provider().name,
            "reference": facts.reference,
            "status": facts.status,
            "amount_cents": order.total_cents,
            "currency": order.currency,
            "client_secret": facts.client_secret,
            "publishable_key": payment_settings().stripe_publishable_key,
            "expires_at": order.expires_at,
        }
    )


@bp.post(
    f"{_ORDER}/payment-intent",
    permission=Permission.PUBLIC,
    status=201,
    headers=ORDER_LINK,
    replay=_begun,
    refusals=(
        order_errors.NoSuchOrder,
        errors.NothingToPay,
        errors.PaymentsUnavailable,
        errors.PaymentRefused,
        IdempotencyKeyReused,
    ),
)
def create_payment_intent(call: Call, order_id: UUID) -> PaymentIntentOut:
    """Begin the payment of a pending order; the buyer's browser continues with the `client_secret`."""
    order, facts = _begin(call, order_id)
    commands.note_begun(call.session, order_id, facts, idempotency=call.idempotency, now=call.now)
    return _intent_out(order, facts)


@bp.post(
    f"{_ORDER}/confirm",
    permission=Permission.PUBLIC,
    headers=ORDER_LINK,
    replay=reopen_order,
    refusals=(
        order_errors.NoSuchOrder,
        errors.NothingToPay,
        errors.PaymentsUnavailable,
        errors.PaymentRefused,
        IdempotencyKeyReused,
    ),
)
def confirm_payment(call: Call, order_id: UUID, body: PaymentConfirm) -> OrderOut:
    """Report that the buyer has paid. The app asks the payment provider; if the provider confirms, the order is paid.

    Where the provider's webhook messages arrive, this is not needed, but it saves the buyer from waiting for them.
    """
    order = open_order(call, order_id, to_pay=True)
    payment = latest_payment(call.session, order.event_id, order_id)
    if payment is None:
        raise errors.NothingToPay("No payment was begun for this order.")
    call.unit_of_work.commit()  # the provider is not asked inside a transaction
    try:
        facts = commands.ask_provider(payment, card=body.card)
    except ProviderDown as error:
        raise DependencyDown("The payment provider does not answer.", dependency="payments") from error
    commands.note_answer(call.session, payment, facts, idempotency=call.idempotency, now=call.now)
    call.unit_of_work.after_commit(lambda: drop_package_list_of(order.event_id))
    return reopen_order(call, order_id)


@bp.post(
    f"{_ORDER}/cancel",
    permission=Permission.PUBLIC,
    headers=ORDER_LINK,
    refusals=(order_errors.NoSuchOrder, order_errors.NotCancellable),
)
def cancel_public_order(call: Call, order_id: UUID) -> OrderOut:
    """Cancel an order that has not been paid; others can buy its tickets at once."""
    event_id = lock_order(call, order_id)
    cancel_pending(call.session, event_id, order_id, now=call.now)
    call.unit_of_work.after_commit(lambda: drop_package_list_of(event_id))
    return reopen_order(call, order_id)


@bp.post(
    "v1/webhooks/stripe",
    permission=Permission.PUBLIC,
    takes_tokens=False,
    headers={"Stripe-Signature": "Stripe's signature of the body."},
    refusals=(UnsignedMessage, MalformedJson, errors.PaymentsUnavailable),
)
def take_stripe_message(call: Call, body: bytes) -> MessageTaken:
    """Receive a webhook message from Stripe: its signature is checked, it is stored once, and it takes effect."""
    provider = commands.require_provider()
    try:
        message = provider.read(body, call.headers.get("stripe-signature", ""), now=call.now)
    except BadSignature as error:
        raise UnsignedMessage from error
    except UnreadableMessage as error:
        raise MalformedJson("The message can't be read.") from error
    commands.note_message(call.session, provider.name, message, now=call.now)
    return MessageTaken()
