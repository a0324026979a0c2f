"""The business metrics for Prometheus, read from the database at each request, so that all instances agree."""

from collections.abc import Iterable
from typing import LiteralString

import psycopg
from prometheus_client.core import CounterMetricFamily, Metric
from sqlalchemy import exc

from shared.domain.ledger.reconciling import last_findings
from shared.domain.messaging.kinds import KINDS
from shared.domain.messaging.message_kind import Queue
from shared.kit.cache import cache
from shared.kit.db.unit_of_work import raw_connection
from shared.kit.metrics import gauge
from shared.kit.outbox.retrying import ATTEMPTS_AT_MOST
from shared.kit.storage.account import StorageDown, storage_errors
from shared.kit.storage.queues import queue_length

POISON_QUEUES = (*(f"{queue}-poison" for queue in Queue), "webjobs-blobtrigger-poison")
_TRIED = {
    "attempts": ATTEMPTS_AT_MOST,
    "payments": [kind.name for kind in KINDS if kind.queue is Queue.PAYMENTS],
}

_COUNTS: LiteralString = """
SELECT (SELECT count(*) FROM audit_log WHERE entity_type = 'ticket_package' AND field = 'created') AS packages,
       (SELECT count(*) FROM promo_code_uses WHERE returned_at IS NULL) AS redeemed,
       (SELECT count(*) FROM orders) AS orders,
       (SELECT count(*) FROM tickets WHERE status NOT IN ('reserved', 'void')) AS tickets,
       (SELECT count(*) FROM orders
         WHERE status = 'pending' AND expires_at < now() - interval '5 minutes') AS overdue
"""
# Waiting messages are in a small index of their own, even if many messages are done. An e-mail that has used all its
# attempts waits for a person and no longer for its turn, so it does not count for the oldest e-mail.
_OUTBOX: LiteralString = """
SELECT count(*) FILTER (WHERE last_error IS NULL) AS waiting,
       count(*) FILTER (WHERE last_error IS NOT NULL) AS failing,
       coalesce(max(age) FILTER (WHERE NOT kind = ANY(%(payments)s) AND attempts < %(attempts)s), 0) AS oldest_mail,
       coalesce(max(age) FILTER (WHERE kind = ANY(%(payments)s)), 0) AS oldest_payment
  FROM (SELECT kind, attempts, last_error, extract(epoch FROM now() - created_at)::float8 AS age
          FROM outbox WHERE done_at IS NULL) AS waiting
"""


def business_metrics() -> Iterable[Metric]:
    """Yield every metric that can be read now. A service that is down is reported so; the others are still read."""
    up: dict[str, bool] = {}
    try:
        found = list(_from_database())
        up["database"] = True
        yield from found
    except (psycopg.Error, exc.SQLAlchemyError):
        up["database"] = False
    try:
        with storage_errors():
            lengths = {name: queue_length(name) for name in (*Queue, *POISON_QUEUES)}
        up["storage"] = True
        yield from _of_queues(lengths)
    except StorageDown:
        up["storage"] = False
    if cache().configured:
        up["redis"] = cache().ping() is not None
    yield gauge(
        "boxoffice_dependency_up",
        "Whether a service that the app needs answers: 1 or 0.",
        [({"dependency": name}, float(is_up)) for name, is_up in up.items()],
    )


def _from_database() -> Iterable[Metric]:
    with raw_connection() as connection:
        counts = connection.execute(_COUNTS).fetchone()
        outbox = connection.execute(_OUTBOX, _TRIED).fetchone()
        drift, findings = last_findings(connection)
    assert counts is not None
    assert outbox is not None
    packages, redeemed, orders, tickets, overdue = counts
    waiting, failing, oldest_mail, oldest_payment = outbox
    yield CounterMetricFamily("ticket_packages_created", "Ticket packages created.", value=packages)
    yield CounterMetricFamily("promo_codes_redeemed", "Orders placed with a promo code.", value=redeemed)
    yield CounterMetricFamily("ticket_purchases", "Orders placed.", value=orders)
    yield gauge("tickets_sold", "Tickets sold and not returned.", [({}, float(tickets))])
    yield gauge("boxoffice_overdue_orders", "Orders holding tickets 5 min after expiry; must be 0.", [({}, overdue)])
    yield gauge(
        "boxoffice_outbox_messages",
        "Messages that are not done yet, by whether an attempt has failed.",
        [({"state": "waiting"}, waiting), ({"state": "failing"}, failing)],
    )
    yield gauge(
        "boxoffice_outbox_oldest_seconds",
        "How long the oldest message that is still to be tried has waited, by queue.",
        [({"queue": Queue.EMAIL}, oldest_mail), ({"queue": Queue.PAYMENTS}, oldest_payment)],
    )
    yield gauge("boxoffice_stock_drift", "Packages by which stock and orders differ; must be 0.", [({}, drift)])
    yield gauge(
        "boxoffice_reconciliation_findings",
        "Findings of the last checks of the books, by kind; must be 0.",
        [({"kind": kind}, count) for kind, count in findings.items()],
    )


def _of_queues(lengths: dict[str, int]) -> Iterable[Metric]:
    yield gauge(
        "boxoffice_queue_messages",
        "How many messages are on a queue, approximately.",
        [({"queue": name}, length) for name, length in lengths.items() if name not in POISON_QUEUES],
    )
    yield gauge(
        "boxoffice_poison_messages",
        "Messages that failed five times and wait for a person to look at them.",
        [({"queue": name}, lengths[name]) for name in POISON_QUEUES],
    )
