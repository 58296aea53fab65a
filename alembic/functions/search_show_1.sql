-- What was found, as it is shown: its text, and which of its words were looked for.
CREATE FUNCTION search_show_1(
    _bound_to text, _asked text, _languages text[],
    _messages uuid[], _conversations uuid[], _tasks integer[]
) RETURNS TABLE (
    kind text, message_id uuid, conversation_id uuid, task_id integer, role text, title text,
    said text, words text[]
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    asked record;
BEGIN
    PERFORM enter_1(_bound_to);
    SELECT * INTO asked FROM search_read_1(_bound_to, _asked, _languages);
    RETURN QUERY
        SELECT f.kind, f.message_id, f.conversation_id, f.task_id, f.role, f.title, f.said, ARRAY(
            SELECT DISTINCT w FROM unnest(string_to_array(search_fold_1(left(f.said, 65536)), ' ')) AS w
            WHERE w = ANY (asked.said) OR starts_with(w, asked.begun) OR EXISTS (
                SELECT FROM unnest(_languages) AS l,
                    unnest(ts_lexize((l || '_stem')::regdictionary, w)) AS stem
                WHERE stem = ANY (asked.stems)))
        FROM (
            SELECT 'message' AS kind, m.id AS message_id, m.conversation_id, NULL::integer AS task_id,
                m.role::text, c.title::text, m.content AS said
            FROM messages AS m
            JOIN conversations AS c ON c.user_id = m.user_id AND c.id = m.conversation_id
            WHERE m.user_id = _bound_to AND m.id = ANY (_messages)
            UNION ALL
            SELECT 'conversation', NULL, c.id, NULL, NULL, c.title, c.title
            FROM conversations AS c WHERE c.user_id = _bound_to AND c.id = ANY (_conversations)
            UNION ALL
            SELECT 'task', NULL, NULL, t.id, NULL, t.title, btrim(t.title || E'\n' || t.description)
            FROM tasks AS t WHERE t.user_id = _bound_to AND t.id = ANY (_tasks)
        ) AS f;
END
$$;
