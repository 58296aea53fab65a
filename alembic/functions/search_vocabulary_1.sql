-- Words of a user's that begin as those of a search do, which found nothing: one of them may be meant.
--
-- Only of long words, whose first letters are right, and for nobody who quotes words, or wants something
-- left out. Words of the newest `_each_max` messages, titles and tasks that have such.
CREATE FUNCTION search_vocabulary_1(
    _bound_to text, _asked text, _languages text[], _until timestamptz, _each_max integer
) RETURNS TABLE (asked text, words text[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    key text := 'u' || left(md5(_bound_to), 8);
    said text[];
    begun text[];
    parts text[];
    messages_near uuid[];
    folded text;
BEGIN
    PERFORM enter_1(_bound_to);
    _until := coalesce(_until, 'infinity');
    SELECT r.said INTO said FROM search_read_1(_bound_to, _asked, _languages) AS r
        WHERE r.any_of IS NOT NULL AND _asked !~ '["“”„«»]';
    begun := ARRAY(SELECT DISTINCT left(w, 3) FROM unnest(said) AS w WHERE char_length(w) >= 5);
    IF cardinality(begun) = 0 THEN
        RETURN;
    END IF;
    parts := ARRAY(SELECT '%' || b || '%' FROM unnest(begun) AS b);
    PERFORM set_config('role', 'taskchat_system', true), set_config('taskchat.search', (
        SELECT string_agg(quote_literal(key || b) || ':*', ' | ') FROM unnest(begun) AS b), true);
    EXECUTE 'SELECT ARRAY(SELECT id FROM messages WHERE created_at <= $1'
        ' ORDER BY created_at DESC, id DESC LIMIT $2)'
        INTO messages_near USING _until, _each_max;
    PERFORM enter_1(_bound_to), set_config('taskchat.search', '', true);
    folded := (
        SELECT string_agg(search_fold_1(left(t.text, 65536)), ' ') FROM (
            SELECT m.content AS text FROM messages AS m
            WHERE m.user_id = _bound_to AND m.id = ANY (messages_near)
            UNION ALL
            (SELECT c.title FROM conversations AS c
            WHERE c.user_id = _bound_to AND c.created_at <= _until
                AND search_sketch_1(c.title) LIKE ANY (parts)
            ORDER BY c.created_at DESC, c.id DESC LIMIT _each_max)
            UNION ALL
            (SELECT k.title || ' ' || k.description FROM tasks AS k
            WHERE k.user_id = _bound_to AND k.created_at <= _until
                AND search_sketch_1(k.title || ' ' || k.description) LIKE ANY (parts)
            ORDER BY k.created_at DESC, k.id DESC LIMIT _each_max)
        ) AS t);
    RETURN QUERY
        SELECT w, ARRAY(
            SELECT DISTINCT v FROM unnest(string_to_array(folded, ' ')) AS v
            WHERE char_length(w) >= 5 AND starts_with(v, left(w, 3))
                AND abs(char_length(v) - char_length(w)) <= 2)
        FROM unnest(said) AS w;
END
$$;
