-- Where a conversation stands at this moment: its last turn, and of each unfinished one, in order,
-- its id, its number and its last event.
CREATE FUNCTION conversation_place_1(
    _bound_to text, _conversation uuid,
    OUT last_turn int, OUT unfinished uuid[], OUT numbers int[], OUT seqs int[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM enter_1(_bound_to);
    -- First: a turn that begins and ends before the next statement is then still to be told.
    SELECT c.last_turn INTO last_turn FROM conversations AS c
        WHERE c.user_id = _bound_to AND c.id = _conversation;
    SELECT array_agg(t.id ORDER BY t.number), array_agg(t.number ORDER BY t.number),
            array_agg(t.seq ORDER BY t.number)
        INTO unfinished, numbers, seqs
        FROM (
            SELECT t.id, t.number, (
                SELECT coalesce(max(e.seq), 0) FROM turn_events AS e
                WHERE e.user_id = _bound_to AND e.turn_id = t.id) AS seq
            FROM turns AS t
            WHERE t.user_id = _bound_to AND t.conversation_id = _conversation
                AND t.status IN ('queued', 'running', 'awaiting_feedback')
        ) AS t;
END
$$;
