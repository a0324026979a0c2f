"""Which columns hold personal data of customers, and what an erasure writes into each.

A test compares every column of text or JSON with this list. A new column must be listed either as personal, and is then
erased, or as not personal.
"""

ERASED_COLUMNS: dict[str, dict[str, str]] = {
    "orders": {
        "customer_name": "a placeholder",
        "customer_email": "a placeholder that no mail reaches",
        "customer_phone": "nothing",
    },
    "tickets": {"holder_name": "a placeholder", "holder_email": "a placeholder"},
    "option_answers": {"value": "a placeholder for every answer: even a chosen menu can reveal an illness"},
    "refunds": {"reason": "a placeholder, unless the system itself wrote it", "last_error": "nothing"},
    "outbox": {"last_error": "nothing: a mail server's refusal may name the address"},
    "provider_messages": {"payload": "only the message's id and kind"},
    "order_notes": {"text": "a placeholder"},
    "order_words": {"word": "nothing: the words are learnt again from the orders as they are after the erasure"},
    "users": {"email": "nothing", "name": "nothing"},
}
"""The columns with personal data of customers, and what they hold after an erasure."""

KEPT_COLUMNS: dict[str, dict[str, str]] = {
    "orders": {
        "customer": "a keyed hash of the mailbox, or the account's id: limits per customer count by it",
        "payment_reference": "the provider's id of the payment, which proves the books",
    },
    "payments": {"reference": "as in orders"},
    "provider_messages": {"reference": "as in orders"},
    "refunds": {"provider_reference": "as in orders"},
    "promo_code_customers": {"customer": "as in orders"},
    "promo_code_uses": {"customer": "as in orders"},
    "users": {"subject": "the sign-in service's id of the account: limits still count a user who signs in again"},
    "event_members": {"email": "data of the team; the route that removes a member removes it"},
    "report_schedules": {"notify": "data of the team; a person who leaves the team gets no more mail"},
    "audit_log": {
        "actor_name": "data of the team, kept seven years (decision 12)",
        "actor_email": "data of the team, kept seven years (decision 12)",
        "entity_id": "an address only where a membership of the team was changed",
        "old_value": "what the team changed; never a customer's data",
        "new_value": "what the team changed; the reason of a refund is in the team's own words",
    },
}
"""The columns that could lead back to a person and are kept, and why."""

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
"""The columns that say nothing about a customer: the event's texts, states, kinds, numbers and the books."""
