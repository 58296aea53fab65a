-- What a search asks for, read from whatever somebody typed: the syntax of websearch_to_tsquery.
--
-- `said` are its words, and `stems` what they have in common with their other forms, in the given
-- languages; the last word is taken for the beginning of one if nothing follows it (`begun`).
-- `all_of` and `any_of` are what a text must match. `all_near` and `any_near` ask less, so that
-- an index of words as they are, behind the owner's key, can answer them: each word by its first
-- letters, nothing that is left out, and no order. `any_of` is null for who wants an order, or
-- something left out. There is no row if no word is asked for.
CREATE FUNCTION search_read_1(_owner text, _asked text, _languages text[])
RETURNS TABLE (
    said text[], stems text[], begun text, near text[],
    all_of tsquery, any_of tsquery, all_near tsquery, any_near tsquery
)
LANGUAGE plpgsql STABLE AS $$
DECLARE
    key text := 'u' || left(md5(_owner), 8);
    -- Quotation marks and a minus before a word mean something here; they outlive the folding.
    typed text := replace(
        regexp_replace(
            regexp_replace(_asked, '[“”„«»]', '"', 'g'), '(^|[\s"])-+(?=["\w])', '\1 minus0sign ', 'g'
        ), '"', ' quote0mark ');
    read text;
    near_read text;
    word text;
    stem text;
    stemmed text[];
    forms text;
    first text;
BEGIN
    typed := btrim(search_fold_1(typed));
    typed := replace(replace(typed, 'quote0mark', '"'), 'minus0sign ', '-');
    read := websearch_to_tsquery('pg_catalog.simple', typed)::text;
    SELECT coalesce(array_agg(DISTINCT f.found[2]), '{}') INTO said
        FROM regexp_matches(read, '(!?)''([^'']+)''', 'g') AS f (found) WHERE f.found[1] = '';
    IF position('<' IN read) = 0 THEN
        -- Words that say nothing are left out, unless there are no others.
        SELECT coalesce(array_agg(w), '{}') INTO stemmed FROM unnest(said) AS w
            WHERE ts_lexize((_languages[1] || '_stem')::regdictionary, w) = '{}';
        IF NOT said <@ stemmed THEN
            FOREACH word IN ARRAY stemmed LOOP
                read := ts_rewrite(read::tsquery, quote_literal(word)::tsquery, ''::tsquery)::text;
            END LOOP;
            SELECT array_agg(w) INTO said FROM unnest(said) AS w WHERE w <> ALL (stemmed);
        END IF;
    END IF;
    IF said = '{}' THEN
        RETURN;
    END IF;
    begun := substring(typed FROM '[^ "-]+$');
    IF _asked ~ '\s$' OR begun <> ALL (said) OR char_length(begun) < 2 THEN
        begun := NULL;
    END IF;
    stems := '{}';
    near := '{}';
    -- Of what is not wanted the index is asked nothing: it finds by first letters, which is more.
    near_read := regexp_replace(read, '!\s*(\([^()]*\)|''[^'']+'')', '!''none''', 'g');
    near_read := regexp_replace(near_read, '<[-0-9]+>', '&', 'g');
    FOREACH word IN ARRAY said LOOP
        SELECT coalesce(array_agg(DISTINCT s.stem) FILTER (WHERE s.stem <> word), '{}') INTO stemmed
            FROM unnest(_languages) AS l (name),
                unnest(ts_lexize((l.name || '_stem')::regdictionary, word)) AS s (stem);
        stems := stems || stemmed || word;
        forms := quote_literal(word);
        first := word;
        FOREACH stem IN ARRAY stemmed LOOP
            forms := forms || ' | ' || quote_literal(stem);
            WHILE NOT starts_with(stem, first) LOOP
                first := left(first, -1);
            END LOOP;
        END LOOP;
        IF word = begun THEN
            forms := forms || ' | ' || quote_literal(word) || ':*';
        END IF;
        -- Another form may end in another letter than the stem: grocery, groceri, groceries.
        IF char_length(first) > 3 AND _languages <> '{}' THEN
            first := left(first, -1);
        END IF;
        near := near || first;
        read := replace(read, quote_literal(word), '( ' || forms || ' )');
        any_of := coalesce(any_of || forms::tsquery, forms::tsquery);
        forms := quote_literal(key || first) || CASE
            WHEN _languages <> '{}' OR word = begun THEN ':*' ELSE '' END;
        near_read := replace(near_read, quote_literal(word), forms);
        any_near := coalesce(any_near || forms::tsquery, forms::tsquery);
    END LOOP;
    IF read ~ '[!<]' THEN
        -- Somebody who says what is not wanted, or in which order, means it.
        any_of := NULL;
    END IF;
    all_of := read::tsquery;
    -- What is found by what it lacks is looked for in the whole index, which is everybody's.
    all_near := CASE WHEN near_read LIKE '%!%' AND near_read LIKE '%|%' THEN any_near
        ELSE near_read::tsquery END;
    RETURN NEXT;
END
$$;
