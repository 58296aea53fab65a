-- A text in which to look for parts of folded words; folding costs more than most texts need.
-- Not STRICT, or it would be called for each row in place of being part of the statement.
CREATE FUNCTION search_sketch_1(_said text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN octet_length(_said) = char_length(_said) THEN lower(_said)
    ELSE search_fold_1(_said) END;
