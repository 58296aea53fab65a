-- The newest messages of a branch up to the reply of a turn, given by its number, in order, as JSON
-- in the shape of the API. The calls of a turn are shown with its last message: the reply, or what got none.
CREATE FUNCTION conversation_page_2(
    _owner text, _conversation uuid, _until int, _messages_max int,
    OUT messages text, OUT has_more boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _found bigint;
    _path int4multirange;
BEGIN
    SELECT t.path INTO _path FROM turns AS t
        WHERE t.user_id = _owner AND t.conversation_id = _conversation AND t.number = _until;
    WITH newest AS (
        SELECT turn_id, turn_number, position, id, role, content, created_at, interrupted,
            row_number() OVER (ORDER BY turn_number DESC, position DESC) AS place
        FROM messages
        WHERE user_id = _owner AND conversation_id = _conversation AND turn_number <= _until
            AND (_path IS NULL OR turn_number <@ _path OR turn_number = _until)
        ORDER BY turn_number DESC, position DESC
        LIMIT _messages_max + 1
    ), said AS (
        -- Each message up to the bracket that its calls stand in.
        SELECT turn_id, turn_number, string_agg(
            '{"id":"' || id || '","turn_id":"' || turn_id || '","role":"' || role
            || '","content":' || to_json(content) || ',"created_at":"' || moment_1(created_at)
            || '","interrupted":' || interrupted || ',"tool_calls":[',
            ']},' ORDER BY position) AS open
        FROM newest WHERE place <= _messages_max
        GROUP BY turn_id, turn_number
    )
    SELECT '[' || coalesce(string_agg(
            said.open || coalesce(called.calls, '') || ']}', ',' ORDER BY said.turn_number), '')
            || ']', (SELECT count(*) FROM newest)
        INTO messages, _found
        FROM said LEFT JOIN LATERAL (
            SELECT string_agg('{"id":"' || c.id || '","tool_name":' || to_json(c.tool_name)
                || ',"parameters":' || c.parameters || ',"result":' || c.result
                || ',"status":"' || c.status || '","executed_at":"'
                || moment_1(c.executed_at) || '"}', ',' ORDER BY c.position) AS calls
            FROM tool_calls AS c WHERE c.user_id = _owner AND c.turn_id = said.turn_id
        ) AS called ON true;
    has_more := _found > _messages_max;
END
$$;
