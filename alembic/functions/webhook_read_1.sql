-- What is sent of a delivery, to whom, and what it is signed with: for who holds it.
CREATE FUNCTION webhook_read_1(_bound_to text, _id uuid, _lease uuid)
RETURNS TABLE (id uuid, event text, data text, created_at timestamptz, attempts int, url text,
    secret bytea, previous_secret bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM enter_1(_bound_to);
    RETURN QUERY
        SELECT d.id, d.event::text, d.data, d.created_at, d.attempts, w.url, w.secret,
            CASE WHEN w.previous_until > now() THEN w.previous_secret END
        FROM webhook_deliveries AS d
        LEFT JOIN webhooks AS w ON w.user_id = d.user_id AND w.id = d.webhook_id
        WHERE d.user_id = _bound_to AND d.id = _id AND d.lease = _lease;
END
$$;
