"""What Prometheus is told of the business: read from the database when it asks, so that all instances agree."""

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
# What waits is in a small index of its own, however many messages have been done. A message that was tried as often as
# its queue brings it waits for somebody, and no longer for its turn.
_OUTBOX: LiteralString = """
SELECT count(*) FILTER (WHERE last_error IS NULL) AS waiting,
       count(*) FILTER (WHERE last_error IS NOT NULL) AS failing,
       coalesce(max(age) FILTER (WHERE NOT kind = ANY(%(payments)s) AND attempts < %(attempts)s), 0) AS oldest_mail,
       coalesce(max(age) FILTER (WHERE kind = ANY(%(payments)s)), 0) AS oldest_payment
  FROM (SELECT kind, attempts, last_error, extract(epoch FROM now() - created_at)::float8 AS age
          FROM outbox WHERE done_at IS NULL) AS waiting
"""


def business_metrics() -> Iterable[Metric]:
    """Yield what can be known now; what is away is said to be away, and the rest is told all the same."""
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
    yield CounterMetricFamily("ticket_packages_created", "Ticket packages made.", value=packages)
    yield CounterMetricFamily("promo_codes_redeemed", "Orders placed with a promo code.", value=redeemed)
    yield CounterMetricFamily("ticket_purchases", "Orders placed.", value=orders)
    yield gauge("tickets_sold", "Tickets sold and not returned.", [({}, float(tickets))])
    yield gauge("boxoffice_overdue_orders", "Orders that hold tickets 5 min after their time; 0.", [({}, overdue)])
    yield gauge(
        "boxoffice_outbox_messages",
        "Messages not yet done, by whether an attempt has failed.",
        [({"state": "waiting"}, waiting), ({"state": "failing"}, failing)],
    )
    yield gauge(
        "boxoffice_outbox_oldest_seconds",
        "How long the oldest message waits that is still to be tried, by its queue.",
        [({"queue": Queue.EMAIL}, oldest_mail), ({"queue": Queue.PAYMENTS}, oldest_payment)],
    )
    yield gauge("boxoffice_stock_drift", "Packages by which stock and orders differ; 0.", [({}, drift)])
    yield gauge(
        "boxoffice_reconciliation_findings",
        "What the last checks of the books have found, by kind; 0.",
        [({"kind": kind}, count) for kind, count in findings.items()],
    )


def _of_queues(lengths: dict[str, int]) -> Iterable[Metric]:
    yield gauge(
        "boxoffice_queue_messages",
        "About how many messages are on a queue.",
        [({"queue": name}, length) for name, length in lengths.items() if name not in POISON_QUEUES],
    )
    yield gauge(
        "boxoffice_poison_messages",
        "Messages that failed five times and wait for somebody to look at them.",
        [({"queue": name}, lengths[name]) for name in POISON_QUEUES],
    )
