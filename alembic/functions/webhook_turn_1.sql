-- Note an event of a turn: `turn.` and what has become of it.
CREATE FUNCTION webhook_turn_1(_owner text, _conversation uuid, _turn uuid, _event text)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM webhook_note_1(_owner, _event, _conversation, json_build_object(
            'user_id', _owner, 'conversation_id', _conversation, 'turn_id', _turn,
            'turn_number', t.number, 'status', t.status))
        FROM turns AS t WHERE t.user_id = _owner AND t.id = _turn;
END
$$;
