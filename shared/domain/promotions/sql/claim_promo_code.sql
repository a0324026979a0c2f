-- Claims one use of a promo code for a customer, guarded like the stock: it needs the terms that were read, and a count
-- below the code's and the customer's limits. Otherwise it raises BX002 and so undoes the caller's transaction.
CREATE OR REPLACE FUNCTION claim_promo_code(
  the_event uuid, the_code uuid, known_terms bigint, the_customer text, max_per_customer bigint
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  UPDATE promo_code_stock AS stock SET uses = stock.uses + 1
   WHERE stock.event_id = the_event AND stock.promo_code_id = the_code AND stock.terms = known_terms
     AND (stock.max_uses IS NULL OR stock.uses < stock.max_uses);
  IF FOUND THEN
    INSERT INTO promo_code_customers AS mine (event_id, promo_code_id, customer, uses)
    VALUES (the_event, the_code, the_customer, 1)
        ON CONFLICT (event_id, promo_code_id, customer) DO UPDATE SET uses = mine.uses + 1
     WHERE max_per_customer IS NULL OR mine.uses < max_per_customer;
  END IF;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'promo code % is used up, or its terms have changed', the_code USING ERRCODE = 'BX002';
  END IF;
END
$$
