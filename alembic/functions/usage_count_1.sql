-- Add what models used to a user's day.
CREATE FUNCTION usage_count_1(
    _owner text, _models text[], _turns bigint[], _calls bigint[], _inputs bigint[],
    _cached bigint[], _outputs bigint[], _costs numeric[], _unpriced bigint[])
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    -- Rows are taken in one order, so that no two turns deadlock.
    INSERT INTO usage_days AS d (user_id, day, model, turns, model_calls, input_tokens,
            cached_input_tokens, output_tokens, cost, unpriced_calls)
        SELECT _owner, (now() AT TIME ZONE 'UTC')::date, u.*
        FROM unnest(_models, _turns, _calls, _inputs, _cached, _outputs, _costs, _unpriced)
            AS u(model)
        ORDER BY u.model
        ON CONFLICT (user_id, day, model) DO UPDATE SET
            turns = d.turns + excluded.turns,
            model_calls = d.model_calls + excluded.model_calls,
            input_tokens = d.input_tokens + excluded.input_tokens,
            cached_input_tokens = d.cached_input_tokens + excluded.cached_input_tokens,
            output_tokens = d.output_tokens + excluded.output_tokens,
            cost = d.cost + excluded.cost,
            unpriced_calls = d.unpriced_calls + excluded.unpriced_calls;
END
$$;
