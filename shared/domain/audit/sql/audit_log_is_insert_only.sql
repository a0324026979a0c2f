-- Nobody changes or removes an entry, whatever the app does. Only what is older than seven years may be pruned, by a
-- session that says so. Raises BX003.
CREATE OR REPLACE FUNCTION audit_log_is_insert_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND OLD.at < now() - interval '7 years'
     AND current_setting('boxoffice.prune_audit', true) = 'on' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'the audit trail is insert-only: % refused', TG_OP USING ERRCODE = 'BX003';
END
$$
