-- What the index holds of a text: its words, each behind its owner's key.
--
-- With the key in the word, whoever looks for one reads entries of one user, however many users
-- there are, also by the beginning of a word; no extension is needed for it. Two users whose keys
-- happen to be the same are kept apart by the policy. A text is cut, because Postgres refuses what
-- has more than a megabyte of words, and with it the row.
CREATE FUNCTION search_words_1(_owner text, _said text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN to_tsvector(
    'pg_catalog.simple'::regconfig,
    'u' || left(md5(_owner), 8)
    || replace(btrim(search_fold_1(left(_said, 65536))), ' ', ' u' || left(md5(_owner), 8))
);
