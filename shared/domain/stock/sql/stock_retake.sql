-- For a payment that arrives after its order has expired: sells what was ordered if it is still available. Raises
-- BX001.
CREATE OR REPLACE FUNCTION stock_retake(the_event uuid, ids uuid[], quantities bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  claim record;
BEGIN
  FOR claim IN
    SELECT * FROM unnest(ids, quantities) AS c(id, quantity) ORDER BY c.id
  LOOP
    UPDATE stock SET sold = stock.sold + claim.quantity
     WHERE stock.event_id = the_event AND stock.id = claim.id
       AND (stock.quantity_limit IS NULL OR stock.held + stock.sold + claim.quantity <= stock.quantity_limit);
    IF NOT FOUND THEN
      RAISE EXCEPTION 'stock % is short', claim.id USING ERRCODE = 'BX001';
    END IF;
  END LOOP;
END
$$
