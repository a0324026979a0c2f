"""A server that stands in for Stripe: its published behaviour as far as Boxoffice uses it, and its failures on demand.

PaymentIntents, refunds and disputes; form-encoded bodies, keys that make a request happen once, errors in Stripe's
form, and messages signed by Stripe's scheme. Each act of a buyer, or of a user of Stripe's dashboard, is a method.
"""

import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import httpx

from tests.harness.polling import PATIENCE_SECONDS

SECRET_KEY = "sk_test_stand_in"
PUBLISHABLE_KEY = "pk_test_stand_in"
WEBHOOK_SECRET = "whsec_stand_in"

type Json = dict[str, Any]

DECLINES = {"pm_card_chargeDeclined": "card_declined", "pm_card_chargeDeclinedExpiredCard": "expired_card"}
ENDED = {"succeeded", "canceled"}


class Fault(Enum):
    """What may go wrong with a request."""

    TOO_MANY = auto()
    """429, before anything happens."""
    BROKEN = auto()
    """500, before anything happens; as at Stripe, the same key gets the same answer again."""
    DOWN = auto()
    """503 from a proxy in front: nothing happens, and nothing is remembered."""
    SILENT = auto()
    """No answer, and nothing happens."""
    LOST = auto()
    """It happens, and the connection ends without an answer."""
    HANGING = auto()
    """It happens, and the answer does not come."""
    BROKEN_AFTERWARDS = auto()
    """It happens, and the answer is 500; the same key gets it again."""


class StripeError(Exception):
    """An answer in the form of Stripe's errors."""

    def __init__(self, status: int, kind: str, code: str | None, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"type": kind, "code": code, "message": message} | more}


@dataclass(frozen=True)
class Request:
    """A request as it was received."""

    method: str
    path: str
    key: str | None
    params: Json


@dataclass
class _Kept:
    fingerprint: str
    answer: tuple[int, bytes] | None = None


@dataclass
class StripeStandIn:
    """The server; `with StripeStandIn() as stripe:`."""

    intents: dict[str, Json] = field(default_factory=dict)
    charges: dict[str, Json] = field(default_factory=dict)
    refunds: dict[str, Json] = field(default_factory=dict)
    events: list[Json] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._keys: dict[str, _Kept] = {}
        self._faults: list[tuple[str, str, Fault]] = []
        self._over = threading.Event()
        handler = type("Handler", (_Handler,), {"stand_in": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def settings(self) -> dict[str, str]:
        """The settings that make the application use this server as Stripe."""
        return {
            "STRIPE_SECRET_KEY": SECRET_KEY,
            "STRIPE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "STRIPE_API_URL": self.url,
            "STRIPE_TIMEOUT_SECONDS": "5",
        }

    def fail_next(self, method: str, path: str, *faults: Fault) -> None:
        """Make the next requests whose path ends with this text fail, one after the other."""
        with self._lock:
            self._faults += [(method, path, fault) for fault in faults]

    # --- what a buyer does ------------------------------------------------------------------------------------------

    def pay(self, intent_id: str, card: str = "pm_card_visa") -> Json:
        """Confirm with a card, as the buyer's browser does; declines are no error here."""
        with self._lock:
            try:
                return self._confirm(intent_id, {"payment_method": card})
            except StripeError:
                return self.intents[intent_id]

    def complete(self, intent_id: str, *, succeeds: bool = True) -> Json:
        """End the wait: the bank's question was answered (3-D Secure), or a slow payment has arrived."""
        with self._lock:
            intent = self._intent(intent_id)
            assert intent["status"] in {"requires_action", "processing"}, intent["status"]
            if succeeds:
                return self._succeed(intent)
            with_code = "payment_intent_authentication_failure"
            return self._fail(intent, with_code)

    # --- what happens in the dashboard, and at banks -----------------------------------------------------------------

    def refund(self, intent_id: str, amount: int | None = None, status: str = "succeeded", **metadata: str) -> Json:
        """Refund without Boxoffice."""
        with self._lock:
            return self._refund({"payment_intent": intent_id, "amount": amount, "metadata": metadata}, status=status)

    def fail_refund(self, refund_id: str) -> Json:
        """The bank sends a refund back."""
        with self._lock:
            refund = self.refunds[refund_id]
            refund |= {"status": "failed", "failure_reason": "expired_or_canceled_card"}
            charge = self.charges[refund["charge"]]
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
            self._tell("refund.updated", refund)
            self._tell("charge.refund.updated", refund)
            self._tell("refund.failed", refund)
            return refund

    def dispute(self, intent_id: str) -> Json:
        """The buyer's bank takes the money back."""
        with self._lock:
            charge = self.charges[self.intents[intent_id]["latest_charge"]]
            charge["disputed"] = True
            dispute = {
                "id": f"dp_{secrets.token_hex(12)}",
                "object": "dispute",
                "amount": charge["amount"],
                "currency": charge["currency"],
                "charge": charge["id"],
                "payment_intent": intent_id,
                "reason": "fraudulent",
                "status": "needs_response",
            }
            self._tell("charge.dispute.created", dispute)
            return dispute

    def win_dispute(self, dispute: Json) -> Json:
        """The bank gives the money back again."""
        with self._lock:
            self.charges[dispute["charge"]]["disputed"] = False
            won = dispute | {"status": "won"}
            self._tell("charge.dispute.closed", won)
            return won

    def cancel(self, intent_id: str) -> Json:
        """Cancel the payment in the dashboard."""
        with self._lock:
            return self._cancel(intent_id, {})

    # --- messages ----------------------------------------------------------------------------------------------------

    def event(self, kind: str, thing: Json) -> Json:
        """Make a message about the present state of an object; it is not delivered yet."""
        return {
            "id": f"evt_{secrets.token_hex(12)}",
            "object": "event",
            "api_version": "2026-05-27.basil",
            "created": int(time.time()),
            "data": {"object": json.loads(json.dumps(thing))},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": f"req_{secrets.token_hex(7)}", "idempotency_key": None},
            "type": kind,
        }

    def told(self, intent_id: str, *kinds: str) -> list[Json]:
        """The messages about one payment so far, oldest first; only messages of `kinds` if any are given."""
        with self._lock:
            about = [
                event
                for event in self.events
                if intent_id in {event["data"]["object"].get(name) for name in ("id", "payment_intent")}
            ]
        return [event for event in about if not kinds or event["type"] in kinds]

    def _tell(self, kind: str, thing: Json) -> None:
        self.events.append(self.event(kind, thing))

    # --- the API -----------------------------------------------------------------------------------------------------

    def answer(self, request: Request, authorization: str | None) -> tuple[int, bytes, dict[str, str]] | None:
        """Answer a request; None closes the connection without an answer."""
        with self._lock:
            self.requests.append(request)
            if authorization != f"Bearer {SECRET_KEY}":
                error = StripeError(401, "invalid_request_error", None, "Invalid API Key provided: sk_test_****")
                return error.status, _body(error.body), {}
            fault = self._next_fault(request)
            if fault is Fault.TOO_MANY:
                error = StripeError(429, "rate_limit_error", "rate_limit", "Too many requests")
                return error.status, _body(error.body), {}
            if fault is Fault.DOWN:
                return 503, b"<html>Service Unavailable</html>", {}
            answer = None if fault is Fault.SILENT else self._once(request, fault)
        if fault in {Fault.SILENT, Fault.HANGING}:
            self._over.wait(PATIENCE_SECONDS)
        return None if fault in {Fault.SILENT, Fault.HANGING, Fault.LOST} else answer

    def _once(self, request: Request, fault: Fault | None) -> tuple[int, bytes, dict[str, str]]:
        """Run a request with a key only once."""
        kept: _Kept | None = None
        if request.key is not None and request.method == "POST":
            fingerprint = json.dumps([request.path, request.params], sort_keys=True)
            kept = self._keys.setdefault(request.key, _Kept(fingerprint))
            if kept.fingerprint != fingerprint:
                message = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used with."
                )
                error = StripeError(400, "idempotency_error", None, message)
                return error.status, _body(error.body), {}
            if kept.answer is not None:
                return *kept.answer, {"Idempotent-Replayed": "true"}
        answer = self._run(request, fault)
        if kept is not None and request.key is not None:
            if answer[0] == 404 or b'"parameter_' in answer[1]:
                del self._keys[request.key]  # the request failed validation, so it has not begun
            else:
                kept.answer = answer
        return *answer, {}

    def _run(self, request: Request, fault: Fault | None) -> tuple[int, bytes]:
        broken = StripeError(500, "api_error", None, "An unknown error occurred")
        try:
            if fault is Fault.BROKEN:
                raise broken
            made = self._route(request)
            if fault is Fault.BROKEN_AFTERWARDS:
                raise broken
        except StripeError as error:
            return error.status, _body(error.body)
        return 200, _body(made)

    def _next_fault(self, request: Request) -> Fault | None:
        for index, (method, path, fault) in enumerate(self._faults):
            if request.method == method and request.path.endswith(path):
                del self._faults[index]
                return fault
        return None

    def _route(self, request: Request) -> Json:
        match request.method, *request.path.strip("/").split("/"):
            case "POST", "v1", "payment_intents":
                return self._create(request.params)
            case "GET", "v1", "payment_intents", intent_id:
                return self._shown(self._intent(intent_id), request.params)
            case "POST", "v1", "payment_intents", intent_id, "confirm":
                return self._confirm(intent_id, request.params)
            case "POST", "v1", "payment_intents", intent_id, "cancel":
                return self._cancel(intent_id, request.params)
            case "POST", "v1", "refunds":
                return self._refund(request.params)
            case "GET", "v1", "refunds":
                about = request.params.get("payment_intent")
                found = [refund for refund in self.refunds.values() if about in {None, refund["payment_intent"]}]
                return {"object": "list", "data": found[::-1], "has_more": False, "url": "/v1/refunds"}
        raise StripeError(404, "invalid_request_error", None, f"Unrecognized request URL ({request.path}).")

    def _create(self, params: Json) -> Json:
        allowed = {"amount", "currency", "automatic_payment_methods", "metadata", "description"}
        for name in params.keys() - allowed:
            raise StripeError(
                400, "invalid_request_error", "parameter_unknown", f"Received unknown parameter: {name}", param=name
            )
        for name in ("amount", "currency"):
            if name not in params:
                raise StripeError(
                    400, "invalid_request_error", "parameter_missing", f"Missing required param: {name}.", param=name
                )
        amount, currency = int(params["amount"]), params["currency"]
        assert currency == currency.lower()
        step = {"kwd": 10, "bhd": 10, "jod": 10, "omr": 10, "tnd": 10, "isk": 100}.get(currency, 1)
        if amount % step:
            raise StripeError(
                400, "invalid_request_error", "parameter_invalid_integer", "Invalid amount", param="amount"
            )
        if amount < 50 and currency == "usd":
            raise StripeError(
                400, "invalid_request_error", "amount_too_small", "Amount must be at least $0.50 usd", param="amount"
            )
        intent_id = f"pi_{secrets.token_hex(12)}"
        intent = {
            "id": intent_id,
            "object": "payment_intent",
            "amount": amount,
            "amount_received": 0,
            "automatic_payment_methods": params.get("automatic_payment_methods"),
            "canceled_at": None,
            "cancellation_reason": None,
            "client_secret": f"{intent_id}_secret_{secrets.token_hex(12)}",
            "created": int(time.time()),
            "currency": currency,
            "description": params.get("description"),
            "last_payment_error": None,
            "latest_charge": None,
            "livemode": False,
            "metadata": params.get("metadata", {}),
            "next_action": None,
            "status": "requires_payment_method",
        }
        self.intents[intent_id] = intent
        self._tell("payment_intent.created", intent)
        return intent

    def _confirm(self, intent_id: str, params: Json) -> Json:
        intent = self._intent(intent_id)
        if intent["status"] not in {"requires_payment_method", "requires_confirmation", "requires_action"}:
            raise self._unexpected_state(intent)
        card = params.get("payment_method", "pm_card_visa")
        if card in DECLINES:
            self._fail(intent, DECLINES[card])
            raise StripeError(
                402, "card_error", DECLINES[card], "Your card was declined.", decline_code="generic_decline"
            )
        if card == "pm_card_threeDSecure2Required":
            intent |= {"status": "requires_action", "next_action": {"type": "use_stripe_sdk"}}
            self._tell("payment_intent.requires_action", intent)
            return intent
        if card == "pm_usBankAccount":
            intent |= {"status": "processing", "last_payment_error": None}
            self._tell("payment_intent.processing", intent)
            return intent
        return self._succeed(intent)

    def _succeed(self, intent: Json) -> Json:
        charge = {
            "id": f"ch_{secrets.token_hex(12)}",
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": intent["amount"],
            "amount_refunded": 0,
            "captured": True,
            "currency": intent["currency"],
            "disputed": False,
            "metadata": dict(intent["metadata"]),
            "paid": True,
            "payment_intent": intent["id"],
            "refunded": False,
            "status": "succeeded",
        }
        self.charges[charge["id"]] = charge
        intent |= {
            "status": "succeeded",
            "amount_received": intent["amount"],
            "latest_charge": charge["id"],
            "last_payment_error": None,
            "next_action": None,
        }
        self._tell("charge.succeeded", charge)
        self._tell("payment_intent.succeeded", intent)
        return intent

    def _fail(self, intent: Json, code: str) -> Json:
        error = {"type": "card_error", "code": code, "message": "Your card was declined."}
        intent |= {"status": "requires_payment_method", "last_payment_error": error, "next_action": None}
        self._tell("payment_intent.payment_failed", intent)
        return intent

    def _cancel(self, intent_id: str, params: Json) -> Json:
        intent = self._intent(intent_id)
        if intent["status"] in ENDED:
            raise self._unexpected_state(intent)
        reason = params.get("cancellation_reason")
        intent |= {"status": "canceled", "canceled_at": int(time.time()), "cancellation_reason": reason}
        self._tell("payment_intent.canceled", intent)
        return intent

    def _refund(self, params: Json, *, status: str = "succeeded") -> Json:
        intent = self._intent(params["payment_intent"])
        charge = self.charges.get(intent["latest_charge"] or "")
        if charge is None:
            message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
            raise StripeError(400, "invalid_request_error", "payment_intent_unexpected_state", message)
        if charge["disputed"]:
            message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
            raise StripeError(400, "invalid_request_error", "charge_disputed", message)
        left = charge["amount"] - charge["amount_refunded"]
        amount = int(params["amount"]) if params.get("amount") is not None else left
        if left == 0:
            message = f"Charge {charge['id']} has already been refunded."
            raise StripeError(400, "invalid_request_error", "charge_already_refunded", message)
        if amount > left:
            message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})"
            raise StripeError(400, "invalid_request_error", "amount_too_large", message, param="amount")
        refund = {
            "id": f"re_{secrets.token_hex(12)}",
            "object": "refund",
            "amount": amount,
            "charge": charge["id"],
            "created": int(time.time()),
            "currency": charge["currency"],
            "metadata": params.get("metadata") or {},
            "payment_intent": intent["id"],
            "reason": None,
            "status": status,
        }
        self.refunds[refund["id"]] = refund
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self._tell("refund.created", refund)
        self._tell("charge.refunded", charge)
        return refund

    def _intent(self, intent_id: str) -> Json:
        if intent_id not in self.intents:
            message = f"No such payment_intent: '{intent_id}'"
            raise StripeError(404, "invalid_request_error", "resource_missing", message, param="intent")
        return self.intents[intent_id]

    def _shown(self, intent: Json, params: Json) -> Json:
        if "latest_charge" in params.get("expand", {}).values() and intent["latest_charge"]:
            return intent | {"latest_charge": self.charges[intent["latest_charge"]]}
        return intent

    def _unexpected_state(self, intent: Json) -> StripeError:
        message = f"This PaymentIntent has a status of {intent['status']}."
        return StripeError(400, "invalid_request_error", "payment_intent_unexpected_state", message)


def signature(body: bytes, *, secret: str = WEBHOOK_SECRET, at: float | None = None) -> str:
    """The `Stripe-Signature` of a body."""
    moment = int(time.time() if at is None else at)
    signed = hmac.digest(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hex()
    return f"t={moment},v1={signed},v0={'0' * 64}"


def deliver(host_url: str, *events: Json) -> list[httpx.Response]:
    """Send messages to the application, in this order, and return its answers."""
    return [send(host_url, _body(event)) for event in events]


def send(host_url: str, body: bytes, header: str | None = None) -> httpx.Response:
    """Send a message's body with a signature; by default a good one."""
    headers = {"Stripe-Signature": signature(body) if header is None else header, "Content-Type": "application/json"}
    return httpx.post(f"{host_url}/api/v1/webhooks/stripe", content=body, headers=headers, timeout=30, trust_env=False)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stand_in: StripeStandIn

    def do_GET(self) -> None:
        self._answer(urlsplit(self.path).query)

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())

    def _answer(self, form: str) -> None:
        path = urlsplit(self.path).path
        request = Request(self.command, path, self.headers.get("Idempotency-Key"), _nested(form))
        answer = self.stand_in.answer(request, self.headers.get("Authorization"))
        if answer is None:
            self.close_connection = True
            return
        status, body, headers = answer
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json", "Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.send_header("Request-Id", f"req_{secrets.token_hex(7)}")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class has this name
        """Log nothing."""


def _nested(form: str) -> Json:
    """Read `metadata[order]=1` as `{"metadata": {"order": "1"}}`."""
    params: Json = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        outer, _, inner = name.partition("[")
        if inner:
            params.setdefault(outer, {})[inner.rstrip("]")] = value
        else:
            params[outer] = value
    return params


def _body(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()
