-- Limits how many tickets of an event one customer may have. A lock for the customer, which ends with the transaction,
-- lets only one of their orders through at a time. Each statement sees what was committed before it began, so the count
-- includes the order that held the lock before. Raises BX004; its DETAIL is how many tickets the customer has.
CREATE OR REPLACE FUNCTION stock_claim_for_customer(
  the_event uuid, the_order uuid, the_customer text, wanted bigint, at_most bigint
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  has bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(the_event || ' ' || the_customer, 0));
  SELECT count(*) INTO has
    FROM orders o
    JOIN order_items i ON i.event_id = o.event_id AND i.order_id = o.id
    JOIN tickets t ON t.event_id = i.event_id AND t.order_item_id = i.id AND t.status <> 'void'
   WHERE o.event_id = the_event AND o.customer = the_customer AND o.id <> the_order
     AND o.status IN ('pending', 'paid', 'partially_refunded');
  IF has + wanted > at_most THEN
    RAISE EXCEPTION 'customer has too many tickets' USING ERRCODE = 'BX004', DETAIL = has::text;
  END IF;
END
$$
