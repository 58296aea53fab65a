-- The events of a conversation since a place in it, turn by turn: of turns from `_first` on, but of
-- none in `_over`, and of those in `_numbers` only what follows the events in `_seqs`.
CREATE FUNCTION events_since_1(
    _bound_to text, _conversation uuid, _first int, _over int[], _numbers int[], _seqs int[],
    _rows_max int)
RETURNS TABLE (turn uuid, number int, seq int, type text, data text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM enter_1(_bound_to);
    RETURN QUERY
        SELECT t.id, t.number, e.seq, e.type::text, e.data
        FROM turns AS t
        JOIN turn_events AS e ON e.user_id = t.user_id AND e.turn_id = t.id
        LEFT JOIN unnest(_numbers, _seqs) AS seen(number, seq) ON seen.number = t.number
        WHERE t.user_id = _bound_to AND t.conversation_id = _conversation AND t.number >= _first
            AND t.number <> ALL (_over) AND e.seq > coalesce(seen.seq, 0)
        ORDER BY t.number, e.seq
        LIMIT _rows_max;
END
$$;
