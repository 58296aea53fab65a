-- End a turn that this attempt runs: how it ended, the reply, the last events, what its models
-- used, and a notification for the next turn of the conversation.
--
-- `settled` is false, and nothing has changed, if the turn has another owner by now or is over. So
-- it is if it would be completed with a message of its user's unread; then `steered` is true, and the
-- run goes on with that.
-- `messages` and `has_more` are the conversation so far, if it is to be shown.
CREATE FUNCTION turn_settle_2(
    _bound_to text,
    _turn uuid, _attempt int, _process uuid,
    _status text, _result text, _model text, _model_calls int, _input_tokens int,
    _output_tokens int, _last_seq int,
    _event_seqs int[], _event_types text[], _event_data text[],
    _reply_id uuid, _reply text, _replied_at timestamptz,
    _call_models text[], _call_inputs int[], _call_cached int[], _call_outputs int[],
    _call_durations int[], _call_costs numeric[],
    _day_models text[], _day_turns bigint[], _day_calls bigint[], _day_inputs bigint[],
    _day_cached bigint[], _day_outputs bigint[], _day_costs numeric[], _day_unpriced bigint[],
    -- A minute's worth of model tokens; null if they are not limited.
    _tokens_per_minute float8, _messages_max int,
    OUT settled boolean, OUT steered boolean, OUT tokens_counted boolean, OUT messages text, OUT has_more boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _conversation uuid;
    _number int;
    _is_awaited boolean;
BEGIN
    PERFORM enter_1(_bound_to);
    steered := false;
    IF _status = 'completed' THEN
        -- First the lock, then the look, each in a statement of its own: one that waits for the lock
        -- goes on with the snapshot from before its wait, and would not see what it waited for.
        PERFORM FROM turns AS t
            WHERE t.user_id = _bound_to AND t.id = _turn AND t.attempt = _attempt
            AND t.status = 'running' FOR NO KEY UPDATE;
        settled := FOUND;
        IF NOT settled THEN
            RETURN;
        END IF;
        steered := EXISTS (SELECT FROM steering AS s
            WHERE s.user_id = _bound_to AND s.turn_id = _turn AND s.read_after_answers IS NULL);
        IF steered THEN
            settled := false;
            RETURN;
        END IF;
    END IF;
    UPDATE turns AS t SET status = _status, result = _result, model = _model,
            model_calls = _model_calls, input_tokens = _input_tokens,
            output_tokens = _output_tokens, last_seq = _last_seq, finished_at = now(),
            lease_expires_at = NULL
        WHERE t.user_id = _bound_to AND t.id = _turn AND t.attempt = _attempt
            AND t.status = 'running'
        RETURNING t.conversation_id, t.number, t.idempotency_key IS NOT NULL OR t.attempt > 1
            INTO _conversation, _number, _is_awaited;
    settled := FOUND;
    IF NOT settled THEN
        RETURN;
    END IF;
    IF _reply IS NOT NULL THEN
        INSERT INTO messages
            (user_id, id, conversation_id, turn_id, turn_number, position, role, content, created_at)
            SELECT _bound_to, _reply_id, _conversation, _turn, _number, max(m.position) + 1,
                'assistant', _reply, _replied_at
            FROM messages AS m WHERE m.user_id = _bound_to AND m.turn_id = _turn;
    END IF;
    INSERT INTO turn_events (user_id, turn_id, seq, type, data)
        SELECT _bound_to, _turn, e.seq, e.type, e.data
        FROM unnest(_event_seqs, _event_types, _event_data) AS e(seq, type, data)
        ON CONFLICT DO NOTHING;
    INSERT INTO model_calls (user_id, turn_id, number, model, input_tokens, cached_input_tokens,
            output_tokens, duration_ms, cost)
        SELECT _bound_to, _turn, c.number, c.model, c.input_tokens, c.cached_input_tokens,
            c.output_tokens, c.duration_ms, c.cost
        FROM unnest(_call_models, _call_inputs, _call_cached, _call_outputs, _call_durations,
            _call_costs) WITH ORDINALITY AS c(model, input_tokens, cached_input_tokens,
            output_tokens, duration_ms, cost, number);
    PERFORM usage_count_1(_bound_to, _day_models, _day_turns, _day_calls, _day_inputs, _day_cached,
        _day_outputs, _day_costs, _day_unpriced);
    PERFORM wake_next_1(_bound_to, _conversation, _turn, _number, _is_awaited);
    PERFORM tell_followers_1(_bound_to, _conversation, _process);
    tokens_counted := true;
    IF _tokens_per_minute IS NOT NULL AND _input_tokens + _output_tokens > 0 THEN
        BEGIN
            PERFORM spend_1(_bound_to, ARRAY['tokens'], ARRAY[_tokens_per_minute],
                ARRAY[(_input_tokens + _output_tokens)::float8]);
        EXCEPTION WHEN OTHERS THEN
            -- A turn that is over is not undone because it can't be counted.
            tokens_counted := false;
        END;
    END IF;
    IF _messages_max IS NOT NULL THEN
        SELECT page.messages, page.has_more INTO messages, has_more
            FROM conversation_page_2(_bound_to, _conversation, _number, _messages_max) AS page;
    END IF;
END
$$;
