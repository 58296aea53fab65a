-- Say something in a turn that is unfinished: a message that its run reads before its next model call.
--
-- `outcome`: steered, known (the key was used for such a message before), used (it was used for a
-- turn), over (the turn has ended), not_found, limited, many (the turn has as many as it may) or taken
-- (another request has just used the key). Only `steered` has changed anything.
--
-- The turn's row stays locked to the end: whoever would complete the turn waits, and then sees it.
CREATE FUNCTION turn_steer_1(
    _bound_to text,
    _turn uuid, _process uuid, _key text, _fingerprint bytea,
    _message uuid, _content text, _said_at timestamptz,
    _scopes text[], _per_minute float8[], _costs float8[], _steered_max int,
    OUT outcome text, OUT turn uuid, OUT conversation uuid, OUT message uuid, OUT fingerprint bytea,
    OUT scopes text[], OUT levels float8[], OUT limits_failed boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _conversation uuid;
    _number int;
    _status text;
    _owner uuid;
    _count int;
    _last int;
BEGIN
    PERFORM enter_1(_bound_to);
    limits_failed := false;
    SELECT t.conversation_id, t.number, t.status, t.owner
        INTO _conversation, _number, _status, _owner
        FROM turns AS t WHERE t.user_id = _bound_to AND t.id = _turn FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'not_found';
        RETURN;
    END IF;
    IF _key IS NOT NULL THEN
        SELECT 'known', t.id, t.conversation_id, s.message_id, s.fingerprint
            INTO outcome, turn, conversation, message, fingerprint
            FROM steering AS s JOIN turns AS t ON t.user_id = _bound_to AND t.id = s.turn_id
            WHERE s.user_id = _bound_to AND s.idempotency_key = _key;
        IF FOUND THEN
            RETURN;
        END IF;
        IF EXISTS (SELECT FROM turns AS t
            WHERE t.user_id = _bound_to AND t.idempotency_key = _key)
        THEN
            outcome := 'used';
            RETURN;
        END IF;
    END IF;
    turn := _turn;
    conversation := _conversation;
    message := _message;
    IF _status NOT IN ('queued', 'running', 'awaiting_feedback') THEN
        outcome := 'over';
        RETURN;
    END IF;
    SELECT count(*) INTO _count FROM steering AS s
        WHERE s.user_id = _bound_to AND s.turn_id = _turn;
    IF _count >= _steered_max THEN
        outcome := 'many';
        RETURN;
    END IF;
    BEGIN
        IF cardinality(_scopes) > 0 THEN
            BEGIN
                SELECT spent.scopes, spent.levels INTO scopes, levels
                    FROM spend_1(_bound_to, _scopes, _per_minute, _costs) AS spent;
            EXCEPTION WHEN OTHERS THEN
                -- As for a message that begins a turn.
                limits_failed := true;
            END;
            IF (SELECT bool_or(l.level < CASE l.scope WHEN 'tokens' THEN 0.999999 ELSE -0.000001 END)
                FROM unnest(scopes, levels) AS l(scope, level)) THEN
                outcome := 'limited';
                RAISE EXCEPTION USING ERRCODE = 'TC001';
            END IF;
        END IF;
        SELECT max(m.position) INTO _last FROM messages AS m
            WHERE m.user_id = _bound_to AND m.turn_id = _turn;
        INSERT INTO messages
            (user_id, id, conversation_id, turn_id, turn_number, position, role, content, created_at)
            VALUES (_bound_to, _message, _conversation, _turn, _number, greatest(_last, 1) + 1, 'user',
                _content, _said_at);
        INSERT INTO steering (user_id, message_id, turn_id, idempotency_key, fingerprint)
            VALUES (_bound_to, _message, _turn, _key, _fingerprint)
            ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING;
        IF NOT FOUND THEN
            outcome := 'taken';
            RAISE EXCEPTION USING ERRCODE = 'TC001';
        END IF;
    EXCEPTION WHEN SQLSTATE 'TC001' THEN
        RETURN;
    END;
    outcome := 'steered';
    IF _status = 'running' AND _owner IS DISTINCT FROM _process THEN
        PERFORM pg_notify('taskchat_steering', _turn::text);
    END IF;
END
$$;
