-- The words of a text as they are and by their stems, for comparing and ranking a few texts.
CREATE FUNCTION search_text_1(_said text, _languages text[]) RETURNS tsvector
LANGUAGE plpgsql STABLE AS $$
DECLARE
    folded text := search_fold_1(left(_said, 65536));
    words tsvector := to_tsvector('pg_catalog.simple', folded);
    name text;
BEGIN
    FOREACH name IN ARRAY _languages LOOP
        words := words || to_tsvector(('pg_catalog.' || name)::regconfig, folded);
    END LOOP;
    RETURN words;
END
$$;
