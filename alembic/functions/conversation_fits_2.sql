-- Which cap a user's conversations exceed, with the one that this transaction has just begun or made
-- active: `full` (conversations of any status), `crowded` (active ones), or null. A cap that is null
-- is not looked at. Where one is, the user's conversations begin one after another.
CREATE FUNCTION conversation_fits_2(_owner text, _active_max int, _conversations_max int)
RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF _active_max IS NULL AND _conversations_max IS NULL THEN
        RETURN NULL;
    END IF;
    PERFORM FROM users WHERE id = _owner FOR NO KEY UPDATE;
    -- Statements of their own: one that waits for the lock goes on with an older snapshot.
    IF _conversations_max < (SELECT count(*) FROM (
        SELECT FROM conversations WHERE user_id = _owner LIMIT _conversations_max + 1) AS there)
    THEN
        RETURN 'full';
    END IF;
    IF _active_max < (SELECT count(*) FROM (
        SELECT FROM conversations WHERE user_id = _owner AND status = 'active'
        LIMIT _active_max + 1) AS there)
    THEN
        RETURN 'crowded';
    END IF;
    RETURN NULL;
END
$$;
