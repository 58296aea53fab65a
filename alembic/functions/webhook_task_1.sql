-- Note an event of a task. Its text goes nowhere: whoever is told asks for it with a token.
CREATE FUNCTION webhook_task_1(_owner text, _task int, _completed boolean, _event text)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM webhook_note_1(_owner, _event, NULL, json_build_object(
        'user_id', _owner, 'task_id', _task, 'completed', _completed));
END
$$;
