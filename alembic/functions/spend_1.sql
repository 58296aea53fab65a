-- Spend from a user's token buckets; returns what is left in each, which may be below zero. One
-- from which nothing is spent is only looked at, and left out if it is full.
--
-- Each row's own moment counts, not the transaction's: a statement that waited for the row's lock
-- must not count from before its last change. Rows are taken in one order, to avoid deadlocks.
CREATE FUNCTION spend_1(
    _owner text, _scopes text[], _per_minute float8[], _costs float8[],
    OUT scopes text[], OUT levels float8[])
LANGUAGE plpgsql AS $$
BEGIN
    WITH wanted AS (
        SELECT * FROM unnest(_scopes, _per_minute, _costs) AS w(scope, per_minute, cost)
    ), spent AS (
        INSERT INTO rate_buckets AS b (user_id, scope, per_minute, level, updated_at)
        SELECT _owner, w.scope, w.per_minute, w.per_minute - w.cost, clock_timestamp()
        FROM wanted AS w WHERE w.cost > 0 ORDER BY w.scope
        ON CONFLICT (user_id, scope) DO UPDATE SET
            per_minute = excluded.per_minute,
            level = least(excluded.per_minute, b.level + excluded.per_minute / 60
                * greatest(0, extract(epoch FROM clock_timestamp() - b.updated_at)))
                - (excluded.per_minute - excluded.level),
            updated_at = greatest(b.updated_at, clock_timestamp())
        RETURNING b.scope, b.level
    ), all_of_them AS (
        SELECT s.scope, s.level FROM spent AS s
        UNION ALL
        SELECT w.scope, least(w.per_minute, b.level + w.per_minute / 60
                * greatest(0, extract(epoch FROM clock_timestamp() - b.updated_at)))
        FROM wanted AS w JOIN rate_buckets AS b ON b.user_id = _owner AND b.scope = w.scope
        WHERE w.cost = 0
    )
    SELECT array_agg(a.scope), array_agg(a.level) INTO scopes, levels FROM all_of_them AS a;
END
$$;
