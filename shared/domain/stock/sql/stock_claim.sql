-- Takes what an order asks for, with one guarded UPDATE for each row, in id order, so that two orders never deadlock. A
-- claim names the terms (price, window, …) that it was computed under. If they have changed, or too little is left, the
-- function raises BX001 and so undoes the caller's transaction. An order that still has to be paid holds the stock; an
-- order that is paid at once sells it.
CREATE OR REPLACE FUNCTION stock_claim(
  the_event uuid, ids uuid[], quantities bigint[], known_terms bigint[], only_hold boolean
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  claim record;
BEGIN
  FOR claim IN
    SELECT * FROM unnest(ids, quantities, known_terms) AS c(id, quantity, terms) ORDER BY c.id
  LOOP
    UPDATE stock
       SET held = stock.held + CASE WHEN only_hold THEN claim.quantity ELSE 0 END,
           sold = stock.sold + CASE WHEN only_hold THEN 0 ELSE claim.quantity END
     WHERE stock.event_id = the_event AND stock.id = claim.id AND stock.terms = claim.terms
       AND (stock.quantity_limit IS NULL OR stock.held + stock.sold + claim.quantity <= stock.quantity_limit);
    IF NOT FOUND THEN
      RAISE EXCEPTION 'stock % is short, or its terms have changed', claim.id USING ERRCODE = 'BX001';
    END IF;
  END LOOP;
END
$$
