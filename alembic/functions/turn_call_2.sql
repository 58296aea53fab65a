-- A tool's effect and its record, once: keyed by turn and call id, behind the turn's fence.
--
-- `held` is false, and nothing has changed, if the turn has another owner by now or is over. The
-- fence is a lock that a takeover waits for; parallel calls of the turn pass each other in it.
--
-- `_effect` is null for a call that reached no tool. It is completed if its result is `_given`, and
-- has failed otherwise: `_refusal` says why. That is also what is recorded if there is no such task.
CREATE FUNCTION turn_call_2(
    _bound_to text,
    _turn uuid, _attempt int, _process uuid,
    _id uuid, _call_id text, _position int, _tool text, _parameters text,
    _effect text, _done text, _task int, _title text, _description text, _completed boolean,
    _listed_max int, _refusal text, _given text,
    -- What the model decided since the last commit.
    _answers int[], _answer_models text[], _answer_items text[], _answer_inputs int[],
    _answer_cached int[], _answer_outputs int[], _answer_durations int[],
    -- Events to be written with it; of the last one, which tells the result, the number and the
    -- JSON around the result.
    _event_seqs int[], _event_types text[], _event_data text[], _result_seq int, _result_head text,
    OUT held boolean, OUT status text, OUT result text, OUT executed_at timestamptz,
    OUT result_event text)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _conversation uuid;
    _duration_ms int;
BEGIN
    PERFORM enter_1(_bound_to);
    SELECT t.conversation_id INTO _conversation FROM turns AS t
        WHERE t.user_id = _bound_to AND t.id = _turn AND t.attempt = _attempt
        AND t.status = 'running' FOR SHARE;
    held := FOUND;
    IF NOT held THEN
        RETURN;
    END IF;
    IF _effect IS NOT NULL THEN
        result := task_effect_1(
            _bound_to, _effect, _done, _task, _title, _description, _completed, _listed_max);
    ELSE
        result := _given;
    END IF;
    status := CASE WHEN result IS NULL THEN 'failed' ELSE 'completed' END;
    result := coalesce(result, '{"error":' || to_json(_refusal) || '}');
    _duration_ms := extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000;
    IF cardinality(_answers) > 0 THEN
        INSERT INTO model_answers (user_id, turn_id, number, model, items, input_tokens,
                cached_input_tokens, output_tokens, duration_ms)
            SELECT _bound_to, _turn, a.number, a.model, a.items::json, a.input_tokens,
                a.cached_input_tokens, a.output_tokens, a.duration_ms
            FROM unnest(_answers, _answer_models, _answer_items, _answer_inputs, _answer_cached,
                _answer_outputs, _answer_durations) AS a(number, model, items, input_tokens,
                cached_input_tokens, output_tokens, duration_ms);
    END IF;
    INSERT INTO tool_calls AS c (user_id, id, turn_id, call_id, position, tool_name, parameters,
            result, status, duration_ms)
        VALUES (_bound_to, _id, _turn, _call_id, _position, _tool, _parameters::json, result::json,
            status, _duration_ms)
        RETURNING c.executed_at INTO executed_at;
    result_event := _result_head || result || ',"duration_ms":' || _duration_ms
        || ',"is_error":' || (status <> 'completed') || '}';
    -- Only this attempt can have written the same numbers, in a commit of unknown outcome.
    INSERT INTO turn_events (user_id, turn_id, seq, type, data)
        SELECT _bound_to, _turn, e.seq, e.type, e.data
        FROM unnest(_event_seqs || _result_seq, _event_types || 'tool_result'::text,
            _event_data || result_event) AS e(seq, type, data)
        ON CONFLICT DO NOTHING;
    PERFORM tell_followers_1(_bound_to, _conversation, _process);
END
$$;
