"""The SQL of placing an order: one read, then one pipeline that is one transaction.

The ORM stays off this path: round trips and Python limit it, not the row lock (docs/performance.md). The two writes
travel together in psycopg's pipeline mode, in which the server runs all up to the next Sync as one implicit
transaction: either both have happened or nothing has, and the stock's row is locked only while the server commits.
"""

from shared.kit.outbox import writing as outbox

READ_OFFERS = """
SELECT e.status, e.currency, e.max_tickets_per_customer, e.order_expiry_minutes, e.tax_included, e.fee_included,
       coalesce(p.tax_percent, e.tax_percent) AS tax_percent, coalesce(p.fee_percent, e.fee_percent) AS fee_percent,
       coalesce(p.fee_cents, e.fee_cents) AS fee_cents, p.fair_market_value_cents,
       p.id, p.name, p.price_cents, p.seats_per_package, p.is_enabled, p.min_per_order, p.max_per_order,
       p.sale_starts_at, p.sale_ends_at, p.options_per, s.terms,
       (SELECT jsonb_agg(jsonb_build_object('id', o.id, 'label', o.label, 'type', o.option_type, 'choices', o.choices,
                                            'max_choices', o.max_choices, 'required', o.is_required)
                         ORDER BY o.display_order)
          FROM custom_options o
         WHERE o.event_id = p.event_id AND o.package_id = p.id AND o.is_active) AS options,
       CASE WHEN s.quantity_limit IS NOT NULL THEN greatest(s.quantity_limit - s.held - s.sold, 0) END AS remaining
  FROM events e
  LEFT JOIN ticket_packages p ON p.event_id = e.id AND p.id = ANY(%(package_ids)s::uuid[])
  LEFT JOIN package_stock s ON s.event_id = p.event_id AND s.package_id = p.id
 WHERE e.id = %(event_id)s
"""

# Rows travel as JSON: one text is cheaper to write than twenty arrays.
INSERT_ORDER = """
WITH key AS (
  INSERT INTO idempotency_keys (event_id, key_hash, fingerprint, resource_id, created_at)
  VALUES (%(key_event_id)s, %(key_hash)s, %(fingerprint)s, %(id)s, %(now)s)
), placed AS (
  INSERT INTO orders (event_id, id, number, status, channel, placed_by, customer, customer_user_id, customer_name,
                      customer_email, customer_phone, currency, subtotal_cents, discount_cents, promo_code, fee_cents,
                      tax_cents, included_fee_cents, included_tax_cents, total_cents, refunded_cents, payment_method,
                      payment_reference, access_token_hash, expires_at, created_at, paid_at)
  VALUES (%(event_id)s, %(id)s, %(number)s, %(status)s, %(channel)s, %(placed_by)s, %(customer)s, %(customer_user_id)s,
          %(customer_name)s, %(customer_email)s, %(customer_phone)s, %(currency)s, %(subtotal_cents)s,
          %(discount_cents)s, %(promo_code)s, %(fee_cents)s, %(tax_cents)s, %(included_fee_cents)s,
          %(included_tax_cents)s, %(total_cents)s, 0, %(payment_method)s, %(payment_reference)s, %(access_token_hash)s,
          %(expires_at)s, %(now)s, %(paid_at)s)
), items AS (
  INSERT INTO order_items (event_id, id, order_id, position, kind, package_id, description, quantity,
                           seats_per_package, unit_price_cents, discount_cents, total_cents, fee_cents, tax_cents,
                           included_fee_cents, included_tax_cents, fair_market_value_cents)
  SELECT %(event_id)s, i.id, %(id)s, i.position, 'package', i.package_id, i.description, i.quantity, i.seats,
         i.price, i.discount, i.total, i.fee, i.tax, i.included_fee, i.included_tax, i.worth
    FROM json_to_recordset(%(items)s::json)
      AS i(id uuid, position int, package_id uuid, description text, quantity bigint, seats bigint, price bigint,
           discount bigint, total bigint, fee bigint, tax bigint, included_fee bigint, included_tax bigint,
           worth bigint)
), issued AS (
  INSERT INTO tickets (event_id, id, order_item_id, number, status, code_revision, created_at)
  SELECT %(event_id)s, t.id, t.item_id, t.number, %(ticket_status)s, 1, %(now)s
    FROM json_to_recordset(%(tickets)s::json) AS t(id uuid, item_id uuid, number text)
), booked AS (
  INSERT INTO ledger (event_id, id, order_id, kind, debit, credit, amount_cents, currency, cause, created_at)
  SELECT %(event_id)s, l.id, %(id)s, l.kind, l.debit, l.credit, l.amount_cents, %(currency)s, %(id)s, %(now)s
    FROM json_to_recordset(%(entries)s::json)
      AS l(id uuid, kind text, debit text, credit text, amount_cents bigint)
)
"""
INSERT_ORDER += outbox.INSERT

# Only for orders that have answers: most have none, and even empty lists take their time.
INSERT_ANSWERS = """
INSERT INTO option_answers (event_id, id, order_item_id, option_id, ticket_id, position, label, value)
SELECT %(event_id)s, a.id, a.item_id, a.option_id, a.ticket_id, a.position, a.label, nullif(a.value, 'null')
  FROM unnest(%(ids)s::uuid[], %(item_ids)s::uuid[], %(option_ids)s::uuid[], %(ticket_ids)s::uuid[],
              %(labels)s::text[], %(values)s::jsonb[]) WITH ORDINALITY
    AS a(id, item_id, option_id, ticket_id, label, value, position)
"""

# Last in the transaction, so that the hot row is locked for the shortest time. The function (it stands in the migration
# 0007) makes one guarded UPDATE a package, in id order, and raises CLAIM_REFUSED where one is short or its terms have
# changed, which undoes the whole pipeline.
CLAIM_STOCK = """
SELECT claim_stock(%(event_id)s, %(package_ids)s::uuid[], %(quantities)s::bigint[], %(terms)s::bigint[], %(only_hold)s)
"""
CLAIM_REFUSED = "BX001"

# After the packages and the promo code, and only where the event limits what one customer may have.
CLAIM_FOR_CUSTOMER = "SELECT claim_for_customer(%(event_id)s, %(order_id)s, %(customer)s, %(wanted)s, %(at_most)s)"
CUSTOMER_REFUSED = "BX004"
