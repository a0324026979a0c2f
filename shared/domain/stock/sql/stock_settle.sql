-- Makes held stock sold, or free again, and sold stock free again. It works in id order, as claims do. The CHECKs on
-- the table ensure that nothing is given back twice.
CREATE OR REPLACE FUNCTION stock_settle(the_event uuid, ids uuid[], held_more bigint[], sold_more bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  change record;
BEGIN
  FOR change IN
    SELECT * FROM unnest(ids, held_more, sold_more) AS c(id, held, sold) ORDER BY c.id
  LOOP
    UPDATE stock SET held = stock.held + change.held, sold = stock.sold + change.sold
     WHERE stock.event_id = the_event AND stock.id = change.id;
  END LOOP;
END
$$
