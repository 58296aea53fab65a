-- Let a turn wait for its user: what is asked, what the model decided, and the events that tell it.
-- From then on nobody owns the turn, until it is answered.
--
-- `asked` is false, and nothing has changed, if the turn has another owner by now or is over.
CREATE FUNCTION turn_ask_1(
    _bound_to text,
    _turn uuid, _attempt int, _process uuid,
    _feedback uuid, _kind text, _question text, _choices text, _calls text, _expires_s float8,
    -- What the model decided since the last commit.
    _answers int[], _answer_models text[], _answer_items text[], _answer_inputs int[],
    _answer_cached int[], _answer_outputs int[], _answer_durations int[],
    -- Events to be written with it; and the one that tells what is asked, before and after the time
    -- at which it expires.
    _event_seqs int[], _event_types text[], _event_data text[],
    _asked_seq int, _asked_head text, _asked_tail text,
    OUT asked boolean, OUT asked_event text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _conversation uuid;
    _number int;
    _expires_at timestamptz := now() + make_interval(secs => _expires_s);
BEGIN
    PERFORM enter_1(_bound_to);
    UPDATE turns AS t SET status = 'awaiting_feedback', owner = NULL, lease_expires_at = NULL
        WHERE t.user_id = _bound_to AND t.id = _turn AND t.attempt = _attempt
            AND t.status = 'running'
        RETURNING t.conversation_id, t.number INTO _conversation, _number;
    asked := FOUND;
    IF NOT asked THEN
        RETURN;
    END IF;
    INSERT INTO feedback_requests (user_id, id, turn_id, conversation_id, kind, question, choices,
            calls, expires_at)
        VALUES (_bound_to, _feedback, _turn, _conversation, _kind, _question, _choices::json,
            _calls::json, _expires_at);
    INSERT INTO model_answers (user_id, turn_id, number, model, items, input_tokens,
            cached_input_tokens, output_tokens, duration_ms)
        SELECT _bound_to, _turn, a.number, a.model, a.items::json, a.input_tokens,
            a.cached_input_tokens, a.output_tokens, a.duration_ms
        FROM unnest(_answers, _answer_models, _answer_items, _answer_inputs, _answer_cached,
            _answer_outputs, _answer_durations) AS a(number, model, items, input_tokens,
            cached_input_tokens, output_tokens, duration_ms);
    asked_event := _asked_head
        || to_json(to_char(_expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'))
        || _asked_tail;
    INSERT INTO turn_events (user_id, turn_id, seq, type, data)
        SELECT _bound_to, _turn, e.seq, e.type, e.data
        FROM unnest(_event_seqs || _asked_seq, _event_types || 'feedback_request'::text,
            _event_data || asked_event) AS e(seq, type, data)
        ON CONFLICT DO NOTHING;
    -- Whoever waits for the turn elsewhere need not wait any longer. It is not told as one that is
    -- over: by the time that is heard, it may have been answered, and run again.
    PERFORM pg_notify('taskchat_turns', _conversation || ' 0 ' || _number);
    PERFORM tell_followers_1(_bound_to, _conversation, _process);
END
$$;
