-- Make a user's row, if there is none.
CREATE FUNCTION user_know_1(_bound_to text) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter_1(_bound_to);
    INSERT INTO users (id) VALUES (_bound_to) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END
$$;
