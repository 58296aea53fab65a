-- Notify those who follow a conversation from other processes. Sent only if there is somebody:
-- committing a notification takes a lock that all of the cluster's committing notifiers share, and
-- most turns have no onlookers.
CREATE FUNCTION tell_followers_1(_owner text, _conversation uuid, _process uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('taskchat_events', _conversation::text)
        FROM live_connections AS follower
        WHERE follower.user_id = _owner AND follower.conversation_id = _conversation
            AND follower.process IS DISTINCT FROM _process
        LIMIT 1;
END
$$;
