-- Write events of several turns, of any users, that one process runs: work of the system's.
--
-- Returns the turns whose events are written. One whose row is being changed is left for the next
-- round: it is ending or changing owners, and the events of all others must not wait for it.
CREATE FUNCTION events_append_1(
    _bound_to text,
    _process uuid, _users text[], _turns uuid[], _attempts int[],
    _event_turns uuid[], _event_seqs int[], _event_types text[], _event_data text[])
RETURNS TABLE (id uuid)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM enter_1(_bound_to);
    RETURN QUERY
        WITH held AS (
            SELECT t.user_id, t.id, t.conversation_id FROM turns AS t
            JOIN unnest(_users, _turns, _attempts) AS mine(user_id, id, attempt)
                ON t.user_id = mine.user_id AND t.id = mine.id
            WHERE t.attempt = mine.attempt AND t.status = 'running'
            FOR SHARE OF t SKIP LOCKED
        ), told AS (
            INSERT INTO turn_events (user_id, turn_id, seq, type, data)
            SELECT held.user_id, held.id, e.seq, e.type, e.data FROM held
            JOIN unnest(_event_turns, _event_seqs, _event_types, _event_data)
                AS e(turn_id, seq, type, data) ON e.turn_id = held.id
            ON CONFLICT DO NOTHING
        )
        SELECT held.id
        FROM held, LATERAL tell_followers_1(held.user_id, held.conversation_id, _process);
END
$$;
