-- Accept a message of a client that chooses ids: as turn_begin_5, which see.
--
-- The id of a conversation is made of its owner and of what its client calls it, so that whoever
-- comes first begins it, and all others go on with it, also at the same moment.
--
-- `outcome` may also be `said`: a message of that id is there. Nothing was changed.
CREATE FUNCTION turn_begin_6(
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
    -- Whose client has chosen ids; what it calls the conversation, which is begun if it is not there,
    -- and the message. Each may be null.
    _protocol text, _conversation_text text, _message_text text,
    OUT outcome text,
    OUT turn uuid, OUT conversation uuid, OUT number int,
    OUT status text, OUT result text, OUT fingerprint bytea,
    OUT waiting int, OUT scopes text[], OUT levels float8[], OUT limits_failed boolean,
    OUT history text, OUT summary text, OUT summary_turn int, OUT open_tasks int,
    OUT version_of uuid, OUT version int, OUT follows boolean, OUT changes_kept int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _begins boolean := _is_new;
    _violated text;
BEGIN
    -- Gone on with, begun, gone on with, begun: more often only if it is deleted meanwhile.
    FOR _try IN 1..4 LOOP
        BEGIN
            SELECT
                b.outcome, b.turn, b.conversation, b.number, b.status, b.result, b.fingerprint,
                b.waiting, b.scopes, b.levels, b.limits_failed, b.history, b.summary,
                b.summary_turn, b.open_tasks, b.version_of, b.version, b.follows, b.changes_kept
            INTO
                outcome, turn, conversation, number, status, result, fingerprint, waiting, scopes,
                levels, limits_failed, history, summary, summary_turn, open_tasks, version_of,
                version, follows, changes_kept
            FROM turn_begin_5(
                _bound_to, _key, _fingerprint, _draining, _conversation, _begins, _title, _scopes,
                _per_minute, _costs, _queue_max, _active_max, _conversations_max, _process,
                _lease_s, _turn, _channel, _circumstances, _message, _content, _said_at,
                _started_head, _started_tail, _at_once, _in_line, _history_turns_max,
                _with_summary, _with_open_tasks, _version_of, _versions_max, _looking) AS b;
            EXIT WHEN outcome <> 'not_found' OR _conversation_text IS NULL
                -- Another version of a message is said where that message is.
                OR _version_of IS NOT NULL;
        EXCEPTION WHEN unique_violation THEN
            GET STACKED DIAGNOSTICS _violated = CONSTRAINT_NAME;
            IF _violated = 'messages_pkey' THEN
                outcome := 'said';
                RETURN;
            ELSIF _violated <> 'conversations_pkey' THEN
                RAISE;
            END IF;
            -- Another request has begun it a moment ago.
            outcome := 'not_found';
        END;
        _begins := NOT _begins;
    END LOOP;
    IF outcome = 'begun' THEN
        INSERT INTO external_ids (user_id, id, conversation_id, protocol, text)
            SELECT _bound_to, named.id, _conversation, _protocol, named.text
            FROM (VALUES (_conversation, _conversation_text), (_message, _message_text))
                AS named(id, text)
            WHERE named.text IS NOT NULL ON CONFLICT DO NOTHING;
    END IF;
END
$$;
