"""The words of buyers' names and addresses, for each event, with which misspelt searches are corrected (decision 19).

A timer learns the words, so no order waits for that. The words are only hints: a corrected search always looks in the
orders themselves.
"""

import logging
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg

from shared.domain.orders.search.conditions import nearest, runs_of

log = logging.getLogger(__name__)

_AT_ONCE = 5_000
_BATCHES = 20  # for one event in one run; a large event takes several runs

# One look at the end of the primary key for each event: ids are in the order of placing.
_BEHIND = """
SELECT e.id FROM events e
  CROSS JOIN LATERAL (SELECT o.id FROM orders o WHERE o.event_id = e.id ORDER BY o.id DESC LIMIT 1) AS last
  LEFT JOIN order_words_learnt l ON l.event_id = e.id
 WHERE l.until IS NULL OR l.until < last.id
"""
_BEGIN = """
INSERT INTO order_words_learnt (event_id, until) VALUES (%(event_id)s, '00000000-0000-0000-0000-000000000000')
    ON CONFLICT DO NOTHING
"""
_LOCK = "SELECT until FROM order_words_learnt WHERE event_id = %(event_id)s FOR UPDATE SKIP LOCKED"
_NEXT = """
SELECT id, customer_name || ' ' || customer_email FROM orders
 WHERE event_id = %(event_id)s AND id > %(until)s ORDER BY id LIMIT %(at_once)s
"""
_ADD = """
INSERT INTO order_words (event_id, word) SELECT %(event_id)s, unnest(%(words)s::text[]) ON CONFLICT DO NOTHING
"""
_DONE = "UPDATE order_words_learnt SET until = %(until)s WHERE event_id = %(event_id)s"
# Words that are at most two letters longer or shorter and begin with one of the first two typed letters: a small part
# of all words, found by the primary key. Very different words are left out here; `nearest` compares the rest letter by
# letter.
_NEAR = """
SELECT typed.run, near.word
  FROM unnest(%(runs)s::text[]) AS typed(run)
  CROSS JOIN LATERAL (
       SELECT w.word FROM order_words w
        WHERE w.event_id = %(event_id)s
          AND (w.word COLLATE "C" BETWEEN left(typed.run, 1) AND left(typed.run, 1) || U&'\\FFFF'
            OR w.word COLLATE "C" BETWEEN substr(typed.run, 2, 1) AND substr(typed.run, 2, 1) || U&'\\FFFF')
          AND length(w.word) BETWEEN length(typed.run) - 2 AND length(typed.run) + 2
          AND similarity(w.word, typed.run) > 0.15
        ORDER BY similarity(w.word, typed.run) DESC LIMIT 200) AS near
"""


def learn_words(connection: psycopg.Connection[Any]) -> None:
    """Learn the words of the orders placed since the last run, in transactions of limited size.

    Two runs may work at the same time, and running twice has the same effect as once.
    """
    for (event_id,) in connection.execute(_BEHIND).fetchall():
        for _ in range(_BATCHES):
            with connection.transaction():
                if _learn(connection, event_id) < _AT_ONCE:
                    break


def _learn(connection: psycopg.Connection[Any], event_id: UUID) -> int:
    which: dict[str, Any] = {"event_id": event_id}
    connection.execute(_BEGIN, which)
    learnt = connection.execute(_LOCK, which).fetchone()
    if learnt is None:  # another run is learning this event's words
        return 0
    rows = connection.execute(_NEXT, which | {"until": learnt[0], "at_once": _AT_ONCE}).fetchall()
    if rows:
        words = sorted({run for _, text in rows for run in runs_of(text)})
        connection.execute(_ADD, which | {"words": words})
        connection.execute(_DONE, which | {"until": rows[-1][0]})
    return len(rows)


def forget_words(connection: psycopg.Connection[Any], event_id: UUID) -> None:
    """Forget an event's words; they are learnt again from what its orders say then. Runs inside a transaction.

    Code that removes names from orders calls this.
    """
    connection.execute("DELETE FROM order_words_learnt WHERE event_id = %s", [event_id])
    connection.execute("DELETE FROM order_words WHERE event_id = %s", [event_id])


def tidy_index(connection: psycopg.Connection[Any]) -> None:
    """Merge the search index's list of pending entries into the index, so that no order has to do it."""
    try:
        connection.execute("SELECT gin_clean_pending_list('ix_orders_search'::regclass)")
    except psycopg.errors.InsufficientPrivilege:  # only the index's owner may do it; else autovacuum does it
        log.debug("The search index belongs to another role")


def meant_by(connection: psycopg.Connection[Any], event_id: UUID, q: str) -> list[list[str]]:
    """Return, for each word of a search that found nothing, the known words that may have been meant.

    Returns an empty list if there are none for one of the words.
    """
    runs = runs_of(q)
    if not runs:
        return []
    known: dict[str, list[str]] = {run: [] for run in runs}
    rows: Sequence[tuple[str, str]] = connection.execute(
        _NEAR, {"event_id": event_id, "runs": runs}, prepare=False
    ).fetchall()
    for run, word in rows:
        known[run].append(word)
    meant = [nearest(run, known[run]) for run in runs]
    return meant if all(meant) else []
