-- Notify those who wait for a turn that has just ended: the next turn of the conversation and, if
-- `_always`, a request that repeats its key or a process that ran it before. Nothing is sent if
-- nobody can be waiting: committing a notification takes a lock that all of the cluster's committing
-- notifiers share.
--
-- Payload: conversation id, number of the turn that is over, number of the next one or 0.
CREATE FUNCTION wake_next_1(
    _owner text, _conversation uuid, _turn uuid, _number int, _always boolean)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('taskchat_turns',
            _conversation || ' ' || _number || ' ' || coalesce(min(next.number), 0))
        FROM turns AS next
        WHERE next.user_id = _owner AND next.conversation_id = _conversation
            AND next.id <> _turn AND next.status IN ('queued', 'running', 'awaiting_feedback')
        HAVING count(*) > 0 OR _always;
END
$$;
