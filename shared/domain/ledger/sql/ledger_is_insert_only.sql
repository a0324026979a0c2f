-- Refuses every change and removal of a row of the books, whatever the app does. Raises BX005.
CREATE OR REPLACE FUNCTION ledger_is_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is insert-only: % refused', TG_OP USING ERRCODE = 'BX005';
END
$$
