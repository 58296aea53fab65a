-- The newest of the turns that a turn follows, and of itself, with a number below `_before`; newest
-- first, as a run needs them: a JSON array of [number, what was said, executed calls or null, reply
-- or null, whether that was interrupted, what was said while it ran or null]. That is an array of
-- [text, how many calls had been executed when the turn read it, or null if it never did].
CREATE FUNCTION turn_history_3(_owner text, _turn uuid, _before int, _turns_max int)
RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    _conversation uuid;
    _number int;
    _path int4multirange;
BEGIN
    SELECT t.conversation_id, t.number, t.path INTO _conversation, _number, _path
        FROM turns AS t WHERE t.user_id = _owner AND t.id = _turn;
    RETURN (
        SELECT json_agg(
            json_build_array(said.turn_number, said.content, called.calls, reply.content,
                reply.interrupted, steered.texts)
            ORDER BY said.turn_number DESC)
        FROM (
            SELECT m.turn_id, m.turn_number, m.content FROM messages AS m
            WHERE m.user_id = _owner AND m.conversation_id = _conversation
                AND m.turn_number < _before AND m.turn_number <= _number AND m.position = 0
                AND (_path IS NULL OR m.turn_number <@ _path OR m.turn_number = _number)
            ORDER BY m.turn_number DESC LIMIT _turns_max
        ) AS said
        LEFT JOIN messages AS reply
            ON reply.user_id = _owner AND reply.turn_id = said.turn_id
                AND reply.role = 'assistant'
        LEFT JOIN LATERAL (
            SELECT json_agg(json_build_object(
                'call_id', c.call_id, 'tool_name', c.tool_name, 'parameters', c.parameters,
                'result', c.result, 'status', c.status) ORDER BY c.position) AS calls
            FROM tool_calls AS c WHERE c.user_id = _owner AND c.turn_id = said.turn_id
        ) AS called ON true
        LEFT JOIN LATERAL (
            SELECT json_agg(json_build_array(m.content, s.read_after_calls) ORDER BY m.position)
                AS texts
            FROM steering AS s
            JOIN messages AS m ON m.user_id = _owner AND m.id = s.message_id
            WHERE s.user_id = _owner AND s.turn_id = said.turn_id
        ) AS steered ON true
    );
END
$$;
