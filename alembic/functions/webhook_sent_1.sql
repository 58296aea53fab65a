-- Note that a delivery has arrived, and go on to the next of its lane: in one round trip, since all
-- that waits in a lane waits for it. Nothing happens if it is another's by now.
CREATE FUNCTION webhook_sent_1(
    _bound_to text,
    _id uuid, _lease uuid, _hook uuid, _status int, _order bigint, _lease_s float8, _go_on boolean)
RETURNS TABLE (id uuid, event text, data text, created_at timestamptz, attempts int, url text,
    secret bytea, previous_secret bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM enter_1(_bound_to);
    PERFORM pg_advisory_xact_lock_shared(_order);
    UPDATE webhook_deliveries AS d SET status = 'delivered', finished_at = now(), lease = NULL,
            leased_until = NULL, is_first = NULL, last_status = _status, last_error = NULL
        WHERE d.user_id = _bound_to AND d.id = _id AND d.lease = _lease;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    UPDATE webhooks AS w SET failing_since = NULL
        WHERE w.user_id = _bound_to AND w.id = _hook AND w.failing_since IS NOT NULL;
    RETURN QUERY SELECT * FROM webhook_next_1(_bound_to, _id, _lease, _lease_s, _go_on);
END
$$;
