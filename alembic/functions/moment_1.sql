-- A moment as the API writes it.
CREATE FUNCTION moment_1(_at timestamptz) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT to_char(_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
