-- The summary of a conversation, if it is one of what a turn follows: one of another branch counts
-- for nothing.
CREATE FUNCTION turn_summary_1(_owner text, _turn uuid, OUT summary text, OUT summary_turn int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _path int4multirange;
    _number int;
BEGIN
    SELECT t.path, t.number, c.summary, c.summary_turn
        INTO _path, _number, summary, summary_turn
        FROM turns AS t JOIN conversations AS c
            ON c.user_id = _owner AND c.id = t.conversation_id
        WHERE t.user_id = _owner AND t.id = _turn;
    -- Whatever came before a turn that this one follows, it follows, too.
    IF summary_turn > 0 AND NOT summary_turn
        <@ (coalesce(_path, int4multirange(int4range(1, _number)))
            + int4multirange(int4range(_number, _number + 1)))
    THEN
        summary := NULL;
        summary_turn := 0;
    END IF;
END
$$;
