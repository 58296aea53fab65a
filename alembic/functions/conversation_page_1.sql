-- The newest messages of a conversation up to a turn's reply, in order, as JSON in the shape of
-- the API: a call is shown with the reply of its turn, or with the message that got none.
CREATE FUNCTION conversation_page_1(
    _owner text, _conversation uuid, _until int, _messages_max int,
    OUT messages text, OUT has_more boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _all bigint;
BEGIN
    SELECT '[' || coalesce(string_agg(shown.message, ',' ORDER BY shown.turn_number, shown.position)
            FILTER (WHERE shown.place <= _messages_max), '') || ']', count(*)
        INTO messages, _all
        FROM (
            SELECT m.turn_number, m.position, row_number() OVER (
                    ORDER BY m.turn_number DESC, m.position DESC) AS place,
                '{"id":"' || m.id || '","role":"' || m.role || '","content":'
                || to_json(m.content) || ',"created_at":"' || moment_1(m.created_at)
                || '","tool_calls":[' || coalesce(called.calls, '') || ']}' AS message
            FROM (
                SELECT * FROM messages
                WHERE user_id = _owner AND conversation_id = _conversation
                    AND turn_number <= _until
                ORDER BY turn_number DESC, position DESC LIMIT _messages_max + 1
            ) AS m
            LEFT JOIN LATERAL (
                SELECT string_agg('{"id":"' || c.id || '","tool_name":' || to_json(c.tool_name)
                    || ',"parameters":' || c.parameters || ',"result":' || c.result
                    || ',"status":"' || c.status || '","executed_at":"'
                    || moment_1(c.executed_at) || '"}', ',' ORDER BY c.position) AS calls
                FROM tool_calls AS c
                WHERE c.user_id = _owner AND c.turn_id = m.turn_id
                    AND (m.position = 1 OR NOT EXISTS (
                        SELECT FROM messages AS reply WHERE reply.user_id = _owner
                            AND reply.turn_id = m.turn_id AND reply.position = 1))
            ) AS called ON true
        ) AS shown;
    has_more := _all > _messages_max;
END
$$;
