"""The SQL that writes an order: one pipeline that is one transaction.

This path does not use the ORM: round trips and Python limit its speed, not the row lock (docs/performance.md). The
statements here and the claims after them are sent together in psycopg's pipeline mode. There the server runs everything
up to the next Sync as one implicit transaction: either all of it happens or nothing does, and the stock's row is locked
only while the server commits.

One statement writes an order; each part of it comes from the area that owns the table. Rows are sent as JSON: one text
is cheaper to write than twenty arrays.
"""

from shared.domain.ledger.commands import INSERT_ENTRIES
from shared.domain.orders.lines.kinds import KINDS
from shared.domain.orders.models import Order, OrderItem
from shared.domain.tickets.commands import INSERT_TICKETS
from shared.kit.db.idempotency import INSERT_KEY
from shared.kit.outbox import writing as outbox

_LATER = {"ended_at", "erased_at"}
_ORDER = [column.name for column in Order.__table__.columns if column.name not in _LATER]
_KNOWN_OR_LATER = {"event_id", "order_id", "returned"}
_OWN = [column.name for column in OrderItem.__table__.columns if column.name not in _KNOWN_OR_LATER]
_LINE = list(dict.fromkeys([*_OWN, *(kind.column for kind in KINDS)]))

INSERT_ORDER = f"""
WITH key AS ({INSERT_KEY}
), placed AS (
  INSERT INTO orders ({", ".join(_ORDER)}) VALUES ({", ".join(f"%({name})s" for name in _ORDER)})
), items AS (
  INSERT INTO order_items (event_id, order_id, {", ".join(_LINE)})
  SELECT %(event_id)s, %(order_id)s, {", ".join(f"i.{name}" for name in _LINE)}
    FROM json_populate_recordset(NULL::order_items, %(items)s::json) AS i
), issued AS ({INSERT_TICKETS}
), booked AS ({INSERT_ENTRIES}
)
{outbox.INSERT}""".encode()  # noqa: S608 - constants

# Only for orders that have answers: most have none, and even empty lists would take time.
INSERT_ANSWERS = """
INSERT INTO option_answers (event_id, id, order_item_id, option_id, ticket_id, position, label, value)
SELECT %(event_id)s, a.id, a.item_id, a.option_id, a.ticket_id, a.position, a.label, nullif(a.value, 'null')
  FROM unnest(%(ids)s::uuid[], %(item_ids)s::uuid[], %(option_ids)s::uuid[], %(ticket_ids)s::uuid[],
              %(labels)s::text[], %(values)s::jsonb[]) WITH ORDINALITY
    AS a(id, item_id, option_id, ticket_id, label, value, position)
"""
