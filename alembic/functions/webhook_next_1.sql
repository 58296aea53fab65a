-- Make what now comes first in the lane of a finished delivery the first one. It is returned if it is
-- to be sent under the same lease: at once, and unless its webhook is paused.
--
-- Whoever calls this holds the order of the lanes, and has finished that delivery in an earlier
-- statement.
CREATE FUNCTION webhook_next_1(
    _owner text, _id uuid, _lease uuid, _lease_s float8, _go_on boolean)
RETURNS TABLE (id uuid, event text, data text, created_at timestamptz, attempts int, url text,
    secret bytea, previous_secret bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _next uuid;
    _sendable boolean;
BEGIN
    SELECT d.id, _go_on AND d.next_at <= now() AND w.paused_reason IS NULL INTO _next, _sendable
        FROM webhook_deliveries AS d
        LEFT JOIN webhooks AS w ON w.user_id = d.user_id AND w.id = d.webhook_id
        WHERE d.user_id = _owner AND d.status = 'pending' AND d.lane = (
            SELECT o.lane FROM webhook_deliveries AS o WHERE o.user_id = _owner AND o.id = _id)
        ORDER BY d.seq LIMIT 1;
    IF NOT _sendable THEN
        UPDATE webhook_deliveries AS d SET is_first = true
            WHERE d.user_id = _owner AND d.id = _next;
    ELSIF _sendable THEN
        UPDATE webhook_deliveries AS d SET is_first = true, attempts = d.attempts + 1,
                lease = _lease, leased_until = now() + make_interval(secs => _lease_s)
            WHERE d.user_id = _owner AND d.id = _next;
        RETURN QUERY SELECT * FROM webhook_read_1(_owner, _next, _lease);
    END IF;
END
$$;
