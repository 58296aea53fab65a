-- Keep a schedule; false, and nothing is kept, if its owner has as many as they may that have not
-- ended. The owner's row is held, so that of two at once the second one counts the first.
CREATE FUNCTION schedule_add_1(
    _owner text, _id uuid, _conversation uuid, _message text, _at timestamptz, _rule text,
    _time_zone text, _starts_at timestamp, _next_at timestamptz, _number int, _schedules_max int)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM users AS u WHERE u.id = _owner FOR NO KEY UPDATE;
    IF _schedules_max <= (SELECT count(*) FROM schedules AS s
        WHERE s.user_id = _owner AND s.status <> 'ended')
    THEN
        RETURN false;
    END IF;
    INSERT INTO schedules (user_id, id, conversation_id, message, at, rule, time_zone, starts_at,
            next_at, try_at, number)
        VALUES (_owner, _id, _conversation, _message, _at, _rule, _time_zone, _starts_at,
            _next_at, _next_at, _number);
    RETURN true;
END
$$;
