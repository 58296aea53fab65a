-- What of a user's is found by words: messages, titles of conversations, tasks.
--
-- Row-level security lets no index answer what its operators could leak, and full text is such.
-- So messages are found in the role taskchat_system, whose policy shows it those of the user that
-- match `taskchat.search`: what a policy asks, an index may answer. That role reads their ids and
-- no text; what they say is read, and compared exactly, in the role of the user. Titles and tasks
-- are short and change often: those of the user are read through. Of each kind the newest
-- `_each_max` are ranked. If nothing has all the words, what has any of them is found.
CREATE FUNCTION search_find_1(
    _bound_to text, _asked text, _languages text[], _kinds text[], _conversation uuid,
    -- Only what was there by then; null for what there is now.
    _until timestamptz, _each_max integer
) RETURNS TABLE (
    kind text, conversation_id uuid, turn_id uuid, message_id uuid, task_id integer, score real,
    created_at timestamptz
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    asked record;
    way record;
    parts text[];
    messages_near uuid[] := '{}';
    conversations_near uuid[] := '{}';
    tasks_near integer[] := '{}';
BEGIN
    PERFORM enter_1(_bound_to);
    _until := coalesce(_until, 'infinity');
    SELECT * INTO asked FROM search_read_1(_bound_to, _asked, _languages);
    IF NOT FOUND THEN
        RETURN;
    END IF;
    parts := ARRAY(SELECT '%' || part || '%' FROM unnest(asked.near) AS part);
    IF 'conversation' = ANY (_kinds) THEN
        conversations_near := ARRAY(
            SELECT c.id FROM conversations AS c
            WHERE c.user_id = _bound_to AND (_conversation IS NULL OR c.id = _conversation)
                AND c.created_at <= _until AND search_sketch_1(c.title) LIKE ANY (parts)
            ORDER BY c.created_at DESC, c.id DESC LIMIT _each_max);
    END IF;
    IF 'task' = ANY (_kinds) AND _conversation IS NULL THEN
        tasks_near := ARRAY(
            SELECT t.id FROM tasks AS t
            WHERE t.user_id = _bound_to AND t.created_at <= _until
                AND search_sketch_1(t.title || ' ' || t.description) LIKE ANY (parts)
            ORDER BY t.created_at DESC, t.id DESC LIMIT _each_max);
    END IF;
    FOR way IN
        SELECT * FROM (VALUES (1, asked.all_of, asked.all_near), (2, asked.any_of, asked.any_near))
            AS ways (number, exact, near)
        WHERE exact IS NOT NULL
        ORDER BY number
    LOOP
        IF 'message' = ANY (_kinds) THEN
            PERFORM set_config('taskchat.search', way.near::text, true),
                set_config('role', 'taskchat_system', true);
            -- Planned anew each time: how many there are depends on the words.
            EXECUTE 'SELECT ARRAY(SELECT id FROM messages WHERE ($1 IS NULL OR conversation_id = $1)'
                ' AND created_at <= $2 ORDER BY created_at DESC, id DESC LIMIT $3)'
                INTO messages_near USING _conversation, _until, _each_max;
            PERFORM enter_1(_bound_to), set_config('taskchat.search', '', true);
        END IF;
        RETURN QUERY
            SELECT f.kind, f.conversation_id, f.turn_id, f.message_id, f.task_id,
                ts_rank(f.words, way.exact, 1), f.created_at
            FROM (
                SELECT 'message' AS kind, m.conversation_id, m.turn_id, m.id AS message_id,
                    NULL::integer AS task_id, search_text_1(m.content, _languages) AS words,
                    m.created_at
                FROM messages AS m WHERE m.user_id = _bound_to AND m.id = ANY (messages_near)
                    AND NOT message_repeats_1(m)
                UNION ALL
                SELECT 'conversation', c.id, NULL, NULL, NULL,
                    search_text_1(c.title, _languages), c.created_at
                FROM conversations AS c
                WHERE c.user_id = _bound_to AND c.id = ANY (conversations_near)
                UNION ALL
                SELECT 'task', NULL, NULL, NULL, t.id,
                    search_text_1(t.title || ' ' || t.description, _languages), t.created_at
                FROM tasks AS t WHERE t.user_id = _bound_to AND t.id = ANY (tasks_near)
            ) AS f
            WHERE f.words @@ way.exact;
        EXIT WHEN FOUND;
    END LOOP;
END
$$;
