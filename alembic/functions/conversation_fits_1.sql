-- Whether a user has no more active conversations than they may, with the one that this transaction
-- has just made active. Users' conversations become active one after another, where that is capped.
CREATE FUNCTION conversation_fits_1(_owner text, _active_max int) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM users WHERE id = _owner FOR NO KEY UPDATE;
    -- A statement of its own: one that waits for the lock goes on with an older snapshot.
    RETURN (
        SELECT count(*) FROM conversations WHERE user_id = _owner AND status = 'active'
    ) <= _active_max;
END
$$;
