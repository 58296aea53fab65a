-- The messages of a user's whose vectors are nearest to one, by the cosine of the angle between.
--
-- Each is compared, of the newest `_compared_max`: an index of neighbours holds everybody's, and
-- finds few of one user's among them. Vectors are kept as plain arrays, so that no table needs the
-- extension. One row of nulls says that the database has no extension to compare them with.
CREATE FUNCTION search_meaning_1(
    _bound_to text, _model text, _vector real[], _conversation uuid, _until timestamptz,
    _compared_max integer, _found_max integer, _similarity_min float8
) RETURNS TABLE (
    kind text, conversation_id uuid, turn_id uuid, message_id uuid, task_id integer, score float8,
    created_at timestamptz
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM enter_1(_bound_to);
    IF to_regtype('vector') IS NULL THEN
        RETURN QUERY SELECT NULL::text, NULL::uuid, NULL::uuid, NULL::uuid, NULL::integer,
            NULL::float8, NULL::timestamptz;
        RETURN;
    END IF;
    RETURN QUERY
        SELECT 'message', m.conversation_id, m.turn_id, m.id, NULL::integer, near.similarity,
            m.created_at
        FROM (
            SELECT e.message_id, 1 - (e.embedding::vector <=> _vector::vector) AS similarity
            FROM (
                SELECT message_id, embedding FROM message_embeddings
                WHERE user_id = _bound_to AND model = _model
                    AND made_at <= coalesce(_until, 'infinity')
                    AND cardinality(embedding) = cardinality(_vector)
                    AND (_conversation IS NULL OR message_id IN (
                        SELECT id FROM messages
                        WHERE user_id = _bound_to AND conversation_id = _conversation))
                ORDER BY message_id DESC LIMIT _compared_max
            ) AS e
            ORDER BY 2 DESC LIMIT _found_max
        ) AS near
        JOIN messages AS m ON m.user_id = _bound_to AND m.id = near.message_id
        WHERE near.similarity >= _similarity_min
            AND m.created_at <= coalesce(_until, 'infinity') AND NOT message_repeats_1(m);
END
$$;
