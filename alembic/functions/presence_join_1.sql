-- Note a connection of a user, and where its conversation stands.
--
-- `outcome`: joined, full (the user has as many of its kind as they may) or no_conversation.
CREATE FUNCTION presence_join_1(
    _bound_to text, _id uuid, _kind text, _conversation uuid, _process uuid, _lease_s float8,
    _connections_max int,
    OUT outcome text,
    OUT last_turn int, OUT unfinished uuid[], OUT numbers int[], OUT seqs int[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM enter_1(_bound_to);
    IF _conversation IS NOT NULL THEN
        SELECT place.last_turn, place.unfinished, place.numbers, place.seqs
            INTO last_turn, unfinished, numbers, seqs
            FROM conversation_place_1(_bound_to, _conversation) AS place;
        IF last_turn IS NULL THEN
            outcome := 'no_conversation';
            RETURN;
        END IF;
    END IF;
    IF _connections_max IS NOT NULL THEN
        -- One user's connections are counted one after another.
        PERFORM FROM users WHERE id = _bound_to FOR NO KEY UPDATE;
        IF (SELECT count(*) FROM live_connections AS other
            WHERE other.user_id = _bound_to AND other.kind = _kind AND other.expires_at > now())
            >= _connections_max
        THEN
            outcome := 'full';
            RETURN;
        END IF;
    END IF;
    INSERT INTO live_connections (user_id, id, kind, conversation_id, process, expires_at)
        VALUES (_bound_to, _id, _kind, _conversation, _process,
            now() + make_interval(secs => _lease_s));
    outcome := 'joined';
END
$$;
