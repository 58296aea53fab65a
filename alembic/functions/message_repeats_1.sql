-- Whether a message says again what an earlier version of it says: a reply was regenerated.
CREATE FUNCTION message_repeats_1(_message messages) RETURNS boolean
LANGUAGE sql STABLE
RETURN _message.position = 0 AND EXISTS (
    SELECT FROM turns AS t
        JOIN turns AS earlier ON earlier.user_id = t.user_id
            AND earlier.conversation_id = t.conversation_id AND earlier.number < t.number
            AND t.version_of IN (earlier.number, earlier.version_of)
        JOIN messages AS said ON said.user_id = t.user_id AND said.turn_id = earlier.id
            AND said.position = 0
    WHERE t.user_id = _message.user_id AND t.id = _message.turn_id AND t.version_of IS NOT NULL
        AND said.content = _message.content
);
