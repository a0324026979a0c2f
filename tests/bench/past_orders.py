"""What an order costs in an event with a thousand past orders, and with a million."""

from dataclasses import replace
from statistics import median
from typing import Any

import psycopg

from infra.local.console import say
from tests.bench.cases import CASES, Pace
from tests.bench.leftovers import strike_off_mail
from tests.bench.names import first_names, last_names
from tests.bench.plans import FloorPlan
from tests.bench.scenery import Scenery
from tests.bench.system import System
from tests.bench.windows import measure

AT_ONCE = (1, 8)
ROUNDS = 3

# Ids as the app makes them (UUIDv7), so that the indexes grow as in production: at their right end.
_MAKE_IDS = """
CREATE TEMP TABLE past AS
WITH moments AS MATERIALIZED (
  SELECT n, now() - make_interval(secs => (%(last)s - n) * 0.5 + 86400) AS at,
         floor(random() ^ 2 * cardinality(%(firsts)s::text[])) AS first,
         floor(random() ^ 3 * cardinality(%(lasts)s::text[])) AS last
    FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
)
SELECT n, at, pg_temp.id('order', at) AS order_id, pg_temp.id('item', at) AS item_id,
       to_char(at, 'YYYYMMDD-') || pg_temp.word(n) AS number, f.name || ' ' || l.name AS name,
       lower(f.name || '.' || l.name) || n %% 97 || '@example.test' AS email, 2500 * (1 + n %% 8) AS cents
  FROM moments m
  JOIN unnest(%(firsts)s::text[]) WITH ORDINALITY AS f(name, place) ON f.place = m.first + 1
  JOIN unnest(%(lasts)s::text[]) WITH ORDINALITY AS l(name, place) ON l.place = m.last + 1
 ORDER BY n
"""
_ID = """
CREATE OR REPLACE FUNCTION pg_temp.id(what text, at timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$
  SELECT (substr(h, 1, 8) || '-' || substr(h, 9, 4) || '-7' || substr(gen_random_uuid()::text, 16))::uuid
    FROM (SELECT lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') AS h) AS hex
$$
"""
# Six letters like those of order numbers. Each number has its own: 7,919 and 30^6 have no common divisor.
_WORD = """
CREATE OR REPLACE FUNCTION pg_temp.word(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT string_agg(substr('23456789ABCDEFGHJKMNPQRSTVWXYZ',
                           1 + (n * 7919 % 729000000 / (30 ^ place)::bigint % 30)::int, 1), '')
    FROM generate_series(0, 5) AS place
$$
"""
_INSERTS = (
    """
    INSERT INTO orders (event_id, id, number, status, channel, customer, customer_name, customer_email, currency,
                        subtotal_cents, discount_cents, fee_cents, tax_cents, total_cents, refunded_cents,
                        payment_method, payment_reference, access_token_hash, created_at, paid_at)
    SELECT %(event)s, order_id, 'ORD-' || number, 'paid', 'online', 'email:' || email, name, email, 'USD',
           cents, 0, 0, 0, cents, 0, 'test', 'test_past',
           sha256(order_id::text::bytea), at, at
      FROM past
    """,
    """
    INSERT INTO order_items (event_id, id, order_id, position, kind, package_id, description, quantity,
                             seats_per_package, unit_price_cents, discount_cents, total_cents)
    SELECT %(event)s, item_id, order_id, 0, 'package', %(package)s, 'Package', 1, 1, cents, 0, cents FROM past
    """,
    """
    INSERT INTO tickets (event_id, id, order_item_id, number, status, code_revision, created_at)
    SELECT %(event)s, pg_temp.id('ticket', at), item_id, 'TKT-' || number || '-01', 'valid', 1, at FROM past
    """,
    """
    INSERT INTO ledger (event_id, id, order_id, kind, debit, credit, amount_cents, currency, cause, created_at)
    SELECT %(event)s, pg_temp.id('entry', at), order_id, kind, debit, credit, cents, 'USD', order_id, at
      FROM past, (VALUES ('sale', 'receivable', 'sales'), ('charge', 'money:test', 'receivable'))
                 AS pairs(kind, debit, credit)
    """,
    """
    INSERT INTO outbox (event_id, id, kind, payload, created_at, published_at, done_at, attempts)
    SELECT %(event)s, pg_temp.id('mail', at), 'order_confirmation', jsonb_build_object('order_id', order_id), at, at,
           at, 1
      FROM past
    """,
    """
    INSERT INTO idempotency_keys (event_id, key_hash, fingerprint, resource_id, created_at)
    SELECT %(event)s, sha256(('key' || order_id)::bytea), sha256('past'), order_id, at FROM past
    """,
)
_COUNT_SOLD = """
UPDATE stock SET sold = sold + %(count)s WHERE event_id = %(event)s AND id = %(package)s
"""


def measure_past_orders(system: System, scenery: Scenery, pace: Pace, *, most: int) -> dict[str, Any]:
    """Measure with a thousand past orders, then with `most`, at each concurrency; p50 in ms, medians of the rounds."""
    counts = (1_000, most)
    at_once: dict[str, dict[str, dict[str, float]]] = {str(each): {} for each in AT_ONCE}
    before = 0
    for count in counts:
        add_past_orders(system, scenery, first=before + 1, last=count)
        say(f"  {count:,} past orders")
        before = count
        times: dict[tuple[str, int], list[float]] = {}
        for _ in range(ROUNDS):
            for name in ("order-hot", "floor-hot"):
                for each in AT_ONCE:
                    window = measure(system, CASES[name].plan(system, scenery, each, pace))
                    times.setdefault((name, each), []).append(window.p50)
                    strike_off_mail(system)
        for each in AT_ONCE:
            at_once[str(each)][str(count)] = {
                "p50": median(times["order-hot", each]),
                "floor_p50": median(times["floor-hot", each]),
            }
    few, many = map(str, counts)
    return {
        "at_once": at_once,
        "sql": {str(each): compare_sql(system, scenery, each, pace) for each in AT_ONCE},
        "cost": {each: round(by[many]["p50"] / by[few]["p50"], 3) for each, by in at_once.items()},
        "floor_cost": {each: round(by[many]["floor_p50"] / by[few]["floor_p50"], 3) for each, by in at_once.items()},
    }


def compare_sql(system: System, scenery: Scenery, at_once: int, pace: Pace) -> dict[str, float]:
    """Time the order's SQL in the event with past orders and in one without, in turn, under the same conditions.

    All other costs of an order don't depend on other orders. p50 in ms, medians of the rounds.
    """
    without = CASES["floor-hot"].plan(system, scenery, at_once, pace)
    assert isinstance(without, FloorPlan)
    plans = {"with": replace(without, url=system.database_url), "without": without}
    times: dict[str, list[float]] = {name: [] for name in plans}
    for _ in range(2 * ROUNDS):
        for name, plan in plans.items():
            times[name].append(measure(system, plan).p50)
            strike_off_mail(system)
    return {name: round(median(found), 3) for name, found in times.items()}


def add_past_orders(system: System, scenery: Scenery, *, first: int, last: int) -> None:
    """Write the orders with these numbers as if they had been placed and paid long ago; all indexes remain.

    Foreign keys are not checked row by row: the rows are right by construction, and a million would take minutes.
    """
    what = {"event": scenery.event_id, "package": scenery.package_ids[0], "first": first, "last": last}
    what |= {"firsts": first_names(), "lasts": last_names()}
    with psycopg.connect(system.database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(_ID)
        connection.execute(_WORD)
        connection.execute(_MAKE_IDS, what)
        for insert in _INSERTS:
            connection.execute(insert.encode(), what)
        connection.execute(_COUNT_SOLD, what | {"count": last - first + 1})
        connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
