"""Where personal data of customers stands, column by column, and what an erasure makes of it.

A test holds every column of text or JSON against this list: one that is new has to be said to be personal, and then is
erased, or to be none.
"""

ERASED_COLUMNS: dict[str, dict[str, str]] = {
    "orders": {
        "customer_name": "a placeholder",
        "customer_email": "a placeholder that no mail reaches",
        "customer_phone": "nothing",
    },
    "tickets": {"holder_name": "a placeholder", "holder_email": "a placeholder"},
    "option_answers": {"value": "a placeholder, whatever was answered: a chosen menu can tell of an illness"},
    "refunds": {"reason": "a placeholder, unless it is a word of the system's own", "last_error": "nothing"},
    "outbox": {"last_error": "nothing: a mail server's refusal names the address"},
    "provider_messages": {"payload": "the message's id and kind alone"},
    "order_notes": {"text": "a placeholder"},
    "order_words": {"word": "nothing: the words are learnt anew from what the orders say by then"},
    "users": {"email": "nothing", "name": "nothing"},
}
"""What is personal data of customers, and what stands there afterwards."""

KEPT_COLUMNS: dict[str, dict[str, str]] = {
    "orders": {
        "customer": "a keyed hash of the mailbox, or the account's id: what limits count by",
        "payment_reference": "the provider's name for the payment, by which the books are proven",
    },
    "payments": {"reference": "as in orders"},
    "provider_messages": {"reference": "as in orders"},
    "refunds": {"provider_reference": "as in orders"},
    "promo_code_customers": {"customer": "as in orders"},
    "promo_code_uses": {"customer": "as in orders"},
    "users": {"subject": "the sign-in service's name for the account: whoever signs in again is counted on"},
    "event_members": {"email": "the team's own; a membership ends by its own route"},
    "report_schedules": {"notify": "the team's own; whoever leaves the team is not written to"},
    "audit_log": {
        "actor_name": "the team's own, kept seven years (decision 12)",
        "actor_email": "the team's own, kept seven years (decision 12)",
        "entity_id": "an address only where a member of the team is changed",
        "old_value": "what the team changed; never a customer's data",
        "new_value": "what the team changed; a refund's reason is what the team wrote",
    },
}
"""What could be led back to somebody and stays, and why."""

IMPERSONAL_COLUMNS: dict[str, set[str]] = {
    "audit_archives": {"month"},
    "audit_log": {"entity_type", "field", "request_id"},
    "custom_options": {"choices", "label", "option_type"},
    "erasures": {"cause"},
    "event_members": {"role"},
    "events": {"currency", "description", "slug", "status", "timezone", "title"},
    "ledger": {"credit", "currency", "debit", "kind"},
    "option_answers": {"label"},
    "order_items": {"description", "kind"},
    "orders": {"channel", "currency", "number", "payment_method", "promo_code", "status"},
    "outbox": {"kind", "payload"},
    "payments": {"currency", "failure", "provider", "status"},
    "promo_codes": {"code", "discount_type"},
    "provider_messages": {"id", "kind", "outcome", "provider"},
    "reconciliations": {"findings"},
    "refunds": {"status"},
    "report_runs": {"cause", "kind", "last_error", "outcome"},
    "report_schedules": {"frequency", "kinds", "reckoned_zone", "weekday"},
    "ticket_packages": {"description", "display_image", "name", "options_per", "thumbnail_image"},
    "stock": {"kind"},
    "tickets": {"number", "status"},
    "users": {"issuer"},
}
"""What tells nothing of a customer: the event's own texts, states, kinds, numbers and the books."""
