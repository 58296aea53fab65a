-- Accept a message: the turn with the user's message and its first events, or why there is none.
--
-- `outcome`: begun, known (the key was used before), draining, not_found, ended, full (the user has
-- as many conversations as they may), crowded (as many active ones), limited, busy, versions (the
-- message has as many as it may) or taken (another request has just used the key). Only `begun` has
-- changed anything.
--
-- A plain message follows the last turn of the conversation's branch. Another version of one follows
-- what that one followed: a new branch, and the conversation's from now on.
--
-- A refusal is an exception that undoes what the message had changed by then, and is caught here:
-- it is no error for the server's log.
CREATE FUNCTION turn_begin_5(
    _bound_to text,
    _key text, _fingerprint bytea, _draining boolean,
    _conversation uuid, _is_new boolean, _title text,
    _scopes text[], _per_minute float8[], _costs float8[],
    _queue_max int,
    -- The most conversations that may be active, and that there may be; null if they are not capped.
    _active_max int, _conversations_max int,
    _process uuid, _lease_s float8,
    _turn uuid, _channel text, _circumstances text,
    _message uuid, _content text, _said_at timestamptz,
    -- The JSON of the first event, without the turn's number in the middle; of the second one, as
    -- it is if the turn may start, and if it has to wait.
    _started_head text, _started_tail text, _at_once text, _in_line text,
    _history_turns_max int, _with_summary boolean, _with_open_tasks boolean,
    -- The turn of which this is another version; null for a plain message.
    _version_of uuid, _versions_max int, _looking text[],
    OUT outcome text,
    OUT turn uuid, OUT conversation uuid, OUT number int,
    OUT status text, OUT result text, OUT fingerprint bytea,
    OUT waiting int, OUT scopes text[], OUT levels float8[], OUT limits_failed boolean,
    OUT history text, OUT summary text, OUT summary_turn int, OUT open_tasks int,
    OUT version_of uuid, OUT version int, OUT follows boolean, OUT changes_kept int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _number int := 1;
    _becomes_active boolean := _is_new;
    _first int;
    _path int4multirange;
BEGIN
    PERFORM enter_1(_bound_to);
    IF _key IS NOT NULL THEN
        SELECT 'known', t.id, t.conversation_id, t.number, t.status, t.result, t.fingerprint
            INTO outcome, turn, conversation, number, status, result, fingerprint
            FROM turns AS t WHERE t.user_id = _bound_to AND t.idempotency_key = _key;
        IF FOUND THEN
            RETURN;
        END IF;
        -- Or of a message to a running turn, which is another body: its fingerprint tells.
        SELECT 'known', t.id, t.conversation_id, t.number, t.status, t.result, s.fingerprint
            INTO outcome, turn, conversation, number, status, result, fingerprint
            FROM steering AS s JOIN turns AS t ON t.user_id = _bound_to AND t.id = s.turn_id
            WHERE s.user_id = _bound_to AND s.idempotency_key = _key;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    IF _draining THEN
        outcome := 'draining';
        RETURN;
    END IF;
    waiting := 0;
    limits_failed := false;
    BEGIN
        -- Ownership, order and lock in one statement. What else is read about the conversation is
        -- read by later ones: a statement that waits for this lock goes on with the snapshot from
        -- before its wait.
        IF _is_new THEN
            INSERT INTO conversations (user_id, id, title, last_turn)
                VALUES (_bound_to, _conversation, _title, 1);
        ELSE
            IF _active_max IS NOT NULL THEN
                SELECT c.status = 'paused' INTO _becomes_active FROM conversations AS c
                    WHERE c.user_id = _bound_to AND c.id = _conversation FOR NO KEY UPDATE;
            END IF;
            IF _version_of IS NOT NULL THEN
                -- What a turn follows never changes, so that this may be read before the lock.
                SELECT coalesce(t.version_of, t.number),
                        coalesce(t.path, int4multirange(int4range(1, t.number)))
                    INTO _first, _path FROM turns AS t
                    WHERE t.user_id = _bound_to AND t.id = _version_of
                        AND t.conversation_id = _conversation;
                IF NOT FOUND THEN
                    outcome := 'not_found';
                    RETURN;
                END IF;
            END IF;
            UPDATE conversations AS c
                SET last_turn = c.last_turn + 1, updated_at = now(), status = 'active',
                    title = coalesce(c.title, _title),
                    -- Null for as long as there is only one branch, whatever is added to it.
                    branch = CASE WHEN _version_of IS NULL THEN c.branch ELSE _path END
                        + int4multirange(int4range(c.last_turn + 1, c.last_turn + 2))
                WHERE c.user_id = _bound_to AND c.id = _conversation AND c.status <> 'ended'
                RETURNING c.last_turn,
                    c.branch - int4multirange(int4range(c.last_turn, c.last_turn + 1))
                    INTO _number, _path;
            IF NOT FOUND THEN
                outcome := CASE WHEN EXISTS (
                        SELECT FROM conversations AS c
                        WHERE c.user_id = _bound_to AND c.id = _conversation)
                    THEN 'ended' ELSE 'not_found' END;
                RETURN;
            END IF;
        END IF;
        IF _becomes_active THEN
            outcome := conversation_fits_2(
                _bound_to, _active_max, CASE WHEN _is_new THEN _conversations_max END);
            IF outcome IS NOT NULL THEN
                -- The last one that there was room for may have begun by the same key meanwhile.
                IF EXISTS (SELECT FROM turns AS t
                    WHERE t.user_id = _bound_to AND t.idempotency_key = _key)
                THEN
                    outcome := 'taken';
                END IF;
                RAISE EXCEPTION USING ERRCODE = 'TC001';
            END IF;
        END IF;
        IF cardinality(_scopes) > 0 THEN
            BEGIN
                SELECT spent.scopes, spent.levels INTO scopes, levels
                    FROM spend_1(_bound_to, _scopes, _per_minute, _costs) AS spent;
            EXCEPTION WHEN OTHERS THEN
                -- Better one message too many than a service that stops if its limiter does.
                limits_failed := true;
            END;
            -- One turn has to be left, and one model token, which it does not spend; up to what
            -- floating-point numbers are off.
            IF (SELECT bool_or(l.level < CASE l.scope WHEN 'tokens' THEN 0.999999 ELSE -0.000001 END)
                FROM unnest(scopes, levels) AS l(scope, level)) THEN
                outcome := 'limited';
                RAISE EXCEPTION USING ERRCODE = 'TC001';
            END IF;
        END IF;
        IF NOT _is_new THEN
            SELECT count(*) INTO waiting FROM turns AS t
                WHERE t.user_id = _bound_to AND t.conversation_id = _conversation
                AND t.status IN ('queued', 'running', 'awaiting_feedback');
            IF waiting > _queue_max THEN
                outcome := 'busy';
                RAISE EXCEPTION USING ERRCODE = 'TC001';
            END IF;
        END IF;
        IF _first IS NOT NULL THEN
            IF _versions_max <= 1 + (SELECT count(*) FROM turns AS t
                WHERE t.user_id = _bound_to AND t.conversation_id = _conversation
                AND t.version_of = _first)
            THEN
                outcome := 'versions';
                RAISE EXCEPTION USING ERRCODE = 'TC001';
            END IF;
        END IF;
        INSERT INTO turns (user_id, id, conversation_id, number, channel, status, attempt, owner,
                lease_expires_at, started_at, idempotency_key, fingerprint, circumstances,
                path, version_of)
            VALUES (_bound_to, _turn, _conversation, _number, _channel,
                CASE waiting WHEN 0 THEN 'running' ELSE 'queued' END,
                CASE waiting WHEN 0 THEN 1 ELSE 0 END, _process,
                now() + make_interval(secs => _lease_s),
                CASE waiting WHEN 0 THEN now() END, _key, _fingerprint, _circumstances::json,
                _path, _first)
            ON CONFLICT (user_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING;
        IF NOT FOUND THEN
            outcome := 'taken';
            RAISE EXCEPTION USING ERRCODE = 'TC001';
        END IF;
        INSERT INTO messages
            (user_id, id, conversation_id, turn_id, turn_number, position, role, content, created_at)
            VALUES (_bound_to, _message, _conversation, _turn, _number, 0, 'user', _content,
                _said_at);
        INSERT INTO turn_events (user_id, turn_id, seq, type, data)
            VALUES
            (_bound_to, _turn, 1, 'turn_started', _started_head || _number || _started_tail),
            (_bound_to, _turn, 2, 'agent_status',
                CASE waiting WHEN 0 THEN _at_once ELSE _in_line END);
    EXCEPTION WHEN SQLSTATE 'TC001' THEN
        RETURN;
    END;
    outcome := 'begun';
    number := _number;
    IF NOT _is_new THEN
        PERFORM tell_followers_1(_bound_to, _conversation, _process);
    END IF;
    IF waiting > 0 THEN
        RETURN;
    END IF;
    IF _number > 1 AND _history_turns_max > 0 THEN
        history := turn_history_3(_bound_to, _turn, _number, _history_turns_max);
    END IF;
    IF _number > 1 AND _with_summary THEN
        SELECT s.summary, s.summary_turn INTO summary, summary_turn
            FROM turn_summary_1(_bound_to, _turn) AS s;
    END IF;
    IF _with_open_tasks THEN
        SELECT count(*) INTO open_tasks FROM tasks AS t
            WHERE t.user_id = _bound_to AND NOT t.completed;
    END IF;
    IF _first IS NOT NULL THEN
        SELECT v.version_of, v.version, v.follows, v.changes_kept
            INTO version_of, version, follows, changes_kept
            FROM turn_version_1(_bound_to, _turn, _looking) AS v;
    END IF;
END
$$;
