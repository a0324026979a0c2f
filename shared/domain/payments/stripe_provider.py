"""Stripe: PaymentIntents, refunds, and signed messages, through Stripe's own library (R-ORD-6).

The library is loaded when it is first needed: loading takes half a second, and most processes of a serverless app never
handle a payment.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from shared.domain.payments.provider import (
    BadSignature,
    Bill,
    Facts,
    Message,
    PaymentStatus,
    ProviderDown,
    ProviderRefused,
    RefundFacts,
    RefundStatus,
    UnreadableMessage,
)
from shared.kit.money import MINOR_DIGITS

if TYPE_CHECKING:
    import stripe

type Json = Mapping[str, Any]

_OLD_AFTER_SECONDS = 300
_REFUNDS_AT_MOST = 100
# Stripe repeats the answer to a key for at least a day, even if that was an error of its own, or a refusal.
_KEYS_AT_MOST = 20
_CONNECT_SECONDS = 3.0

_STATUS = {
    "requires_payment_method": PaymentStatus.CREATED,
    "requires_confirmation": PaymentStatus.CREATED,
    "requires_action": PaymentStatus.REQUIRES_ACTION,
    "processing": PaymentStatus.PROCESSING,
    "requires_capture": PaymentStatus.PROCESSING,
    "canceled": PaymentStatus.CANCELLED,
    "succeeded": PaymentStatus.SUCCEEDED,
}
_REFUND_STATUS = {
    "succeeded": RefundStatus.SUCCEEDED,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}


class StripeProvider:
    """Stripe, called with an account's secret key."""

    name = "stripe"

    def __init__(self, secret_key: str, *, webhook_secret: str, api_url: str, timeout_seconds: float) -> None:
        """Stripe is not called until there is something to pay."""
        self._secret_key = secret_key
        self._webhook_secret = webhook_secret.encode()
        self._api_url = api_url
        self._timeout_seconds = timeout_seconds

    @cached_property
    def _client(self) -> "stripe.StripeClient":
        import stripe  # noqa: PLC0415

        # The buyer or the outbox tries again, with the same key; retries by the library would only delay them.
        timeouts = (min(_CONNECT_SECONDS, self._timeout_seconds), self._timeout_seconds)
        return stripe.StripeClient(
            self._secret_key,
            base_addresses={"api": self._api_url},
            http_client=stripe.RequestsClient(timeout=timeouts),
            max_network_retries=0,
        )

    def open(self, bill: Bill, *, key: str) -> Facts:
        """Begin a payment, or find the one that was begun with this key; return its present state."""
        client = self._client
        names = {"event_id": str(bill.event_id), "order_id": str(bill.order_id), "order_number": bill.order_number}
        amount = to_stripe(bill.amount_cents, bill.currency)

        def create(key: str) -> "stripe.PaymentIntent":
            return client.v1.payment_intents.create(
                {
                    "amount": amount,
                    "currency": bill.currency.lower(),
                    "automatic_payment_methods": {"enabled": True},
                    "description": f"Order {bill.order_number}",
                    "metadata": names,
                },
                {"idempotency_key": key},
            )

        intent = _ask(lambda: _keyed(create, key))
        if _is_replayed(intent.last_response.headers if intent.last_response else None):
            return self.look(intent.id)  # the answer shows the payment as it was at the beginning
        return facts_of_intent(intent.to_dict())

    def look(self, reference: str) -> Facts:
        """Ask for the state of a payment and its refunds."""
        client = self._client
        intent = _ask(lambda: client.v1.payment_intents.retrieve(reference, {"expand": ["latest_charge"]})).to_dict()
        charge = intent.get("latest_charge")
        is_refunded = isinstance(charge, dict) and charge.get("amount_refunded")
        return facts_of_intent(intent, self._refunds(reference) if is_refunded else [])

    def give_up(self, reference: str) -> Facts:
        """Cancel a payment; a payment that has succeeded or is already cancelled stays as it is."""
        client = self._client
        try:
            intent = _ask(lambda: client.v1.payment_intents.cancel(reference, {"cancellation_reason": "abandoned"}))
        except ProviderRefused as refusal:
            if str(refusal) != "payment_intent_unexpected_state":
                raise
            return self.look(reference)
        return facts_of_intent(intent.to_dict())

    def refund(self, reference: str, amount_cents: int, currency: str, *, refund_id: UUID) -> RefundFacts:
        """Send money back, unless that was done before; a refund that a bank has returned is sent again.

        Stripe forgets a key after a day but not the refund, so its refunds are looked at first.
        """
        client = self._client
        amount = to_stripe(amount_cents, currency)

        def attempts() -> list[RefundFacts]:
            found = map(facts_of_refund, self._refunds(reference))
            return [attempt for attempt in found if attempt.ours == refund_id]

        def standing(found: list[RefundFacts]) -> RefundFacts | None:
            return next((attempt for attempt in found if attempt.status != RefundStatus.FAILED), None)

        def create(key: str) -> RefundFacts:
            made = client.v1.refunds.create(
                {"payment_intent": reference, "amount": amount, "metadata": {"refund_id": str(refund_id)}},
                {"idempotency_key": key},
            )
            return facts_of_refund(made.to_dict())

        known = attempts()
        key = f"refund-{refund_id}-after-{len(known)}" if known else f"refund-{refund_id}"
        return standing(known) or _ask(lambda: _keyed(create, key, find=lambda: standing(attempts())))

    def _refunds(self, reference: str) -> list[dict[str, Any]]:
        client = self._client
        listed = _ask(lambda: client.v1.refunds.list({"payment_intent": reference, "limit": _REFUNDS_AT_MOST}))
        return [refund.to_dict() for refund in listed.data]

    def read(self, body: bytes, signature: str, *, now: datetime) -> Message:
        """Check and read a message."""
        check_signature(body, signature, secret=self._webhook_secret, now=now)
        try:
            event = orjson.loads(body)
            kind, thing = event["type"], event["data"]["object"]
            reader = _READERS.get(kind)
            return Message(str(event["id"]), str(kind), reader(thing) if reader else None, event)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreadableMessage from error


def check_signature(body: bytes, header: str, *, secret: bytes, now: datetime) -> None:
    """Raise `BadSignature` unless the `Stripe-Signature` fits this body and this secret, and is not too old.

    While a secret is being replaced, Stripe signs with the old one and with the new one: one valid `v1` is enough.
    """
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    signatures = [value for name, _, value in parts if name == "v1"]
    # No time has twenty digits, and int() of thousands of digits would be wasted work.
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) < 20):
        raise BadSignature
    expected = hmac.digest(secret, times[0].encode() + b"." + body, hashlib.sha256).hex().encode()
    if not any([hmac.compare_digest(expected, given.encode()) for given in signatures]):  # noqa: C419 - in constant time
        raise BadSignature
    if now.timestamp() - int(times[0]) > _OLD_AFTER_SECONDS:
        raise BadSignature


def to_stripe(amount_cents: int, currency: str) -> int:
    """Return an amount in Stripe's units, which differ from ISO 4217's for a few currencies.

    Raises `ProviderRefused` for an amount that Stripe can't take: https://docs.stripe.com/currencies.
    """
    if currency == "UGX":  # documented both without decimals and with two: a guess could be wrong a hundredfold
        raise ProviderRefused("currency_not_supported")
    if currency == "ISK":  # without decimals, but still sent as if it had two
        return amount_cents * 100
    step = 100 if currency == "MGA" else 10 if MINOR_DIGITS[currency] == 3 else 1
    if amount_cents % step:
        raise ProviderRefused("amount_not_chargeable")
    return amount_cents // 100 if currency == "MGA" else amount_cents


def from_stripe(amount: int, currency: str) -> int:
    """Return an amount in Stripe's units as minor units."""
    if currency == "ISK":
        return amount // 100
    return amount * 100 if currency == "MGA" else amount


def facts_of_intent(intent: Json, refunds: list[dict[str, Any]] | None = None) -> Facts:
    """Return what a PaymentIntent says; `refunds` are its refunds, if they were asked for."""
    status = _STATUS.get(intent["status"])
    failure = (intent.get("last_payment_error") or {}).get("code")
    if status == PaymentStatus.CREATED and failure:
        status = PaymentStatus.FAILED
    if status == PaymentStatus.CANCELLED:
        failure = intent.get("cancellation_reason")
    currency = intent["currency"].upper()
    amount = intent["amount_received"] if status == PaymentStatus.SUCCEEDED else intent["amount"]
    expanded = intent.get("latest_charge")
    charge = expanded if isinstance(expanded, dict) else {}
    return Facts(
        intent["id"],
        status,
        amount_cents=from_stripe(amount, currency),
        currency=currency,
        order=_order(intent),
        client_secret=intent.get("client_secret"),
        failure=failure if status in {PaymentStatus.FAILED, PaymentStatus.CANCELLED} else None,
        refunded_cents=from_stripe(charge.get("amount_refunded", 0), currency),
        refunds=tuple(facts_of_refund(refund) for refund in refunds or []),
        disputed=bool(charge.get("disputed")),
    )


def facts_of_refund(refund: Json) -> RefundFacts:
    """Return what a Refund says."""
    return RefundFacts(
        refund["id"],
        from_stripe(refund["amount"], refund["currency"].upper()),
        _REFUND_STATUS.get(refund["status"], RefundStatus.PENDING),
        ours=_our_refund(refund),
        failure=refund.get("failure_reason"),
    )


def _read_charge(charge: Json) -> Facts | None:
    if not charge.get("payment_intent"):
        return None
    currency = charge["currency"].upper()
    return Facts(
        charge["payment_intent"],
        PaymentStatus.SUCCEEDED if charge.get("captured") and charge["status"] == "succeeded" else None,
        amount_cents=from_stripe(charge["amount"], currency),
        currency=currency,
        order=_order(charge),  # Stripe copies the PaymentIntent's metadata to its charge
        refunded_cents=from_stripe(charge["amount_refunded"], currency),
        disputed=bool(charge.get("disputed")),
    )


def _read_refund(refund: Json) -> Facts | None:
    if not refund.get("payment_intent"):
        return None
    return Facts(refund["payment_intent"], refunds=(facts_of_refund(refund),))


def _read_dispute(dispute: Json) -> Facts | None:
    return Facts(dispute["payment_intent"], disputed=True) if dispute.get("payment_intent") else None


_READERS: dict[str, Callable[[Json], Facts | None]] = {
    "payment_intent.created": facts_of_intent,
    "payment_intent.requires_action": facts_of_intent,
    "payment_intent.processing": facts_of_intent,
    "payment_intent.payment_failed": facts_of_intent,
    "payment_intent.canceled": facts_of_intent,
    "payment_intent.succeeded": facts_of_intent,
    "charge.refunded": _read_charge,
    "charge.refund.updated": _read_refund,
    "refund.created": _read_refund,
    "refund.updated": _read_refund,
    "refund.failed": _read_refund,
    "charge.dispute.created": _read_dispute,
    "charge.dispute.closed": _read_dispute,
}


def _order(thing: Json) -> tuple[UUID, UUID] | None:
    metadata = thing.get("metadata") or {}
    event_id, order_id = _id(metadata.get("event_id")), _id(metadata.get("order_id"))
    return (event_id, order_id) if event_id and order_id else None


def _our_refund(refund: Json) -> UUID | None:
    return _id((refund.get("metadata") or {}).get("refund_id"))


def _id(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None  # it belongs to another app on the same account


def _keyed[Made](create: Callable[[str], Made], key: str, *, find: Callable[[], Made | None] = lambda: None) -> Made:
    """Create something once with a key; if Stripe only repeats an old error or refusal, use the next key.

    An old error may have come after the thing was created, so `find` looks for it first.
    """
    import stripe  # noqa: PLC0415

    for number in range(_KEYS_AT_MOST):
        try:
            return create(f"{key}-{number}" if number else key)
        except stripe.StripeError as error:
            if not _is_replayed(error.headers):
                raise
            if found := find():
                return found
    raise ProviderDown("Stripe only repeats an old answer")


def _is_replayed(headers: Mapping[str, str] | None) -> bool:
    return {name.lower(): value for name, value in (headers or {}).items()}.get("idempotent-replayed") == "true"


def _ask[Answer](question: Callable[[], Answer]) -> Answer:
    """Call Stripe and turn its errors into the port's: its own texts may hold a buyer's data, or the end of a key."""
    import stripe  # noqa: PLC0415

    try:
        return question()
    except (stripe.CardError, stripe.InvalidRequestError, stripe.IdempotencyError) as error:
        raise ProviderRefused(error.code or _type_of(error)) from error
    except stripe.StripeError as error:
        # This includes a key of ours that is not accepted: once that is fixed, the same request will work.
        status = f"HTTP {error.http_status}" if error.http_status else "no answer"
        raise ProviderDown(f"{type(error).__name__}, {status}") from error


def _type_of(error: "stripe.StripeError") -> str:
    return str(getattr(error.error, "type", None) or type(error).__name__)
