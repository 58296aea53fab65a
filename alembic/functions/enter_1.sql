-- Bind this transaction to one user, or to the system if there is none: every function begins with
-- it. What is set ends with the transaction, and a pooler gives none of it to anybody else.
CREATE FUNCTION enter_1(_bound_to text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config(
            'role', CASE _bound_to WHEN '' THEN 'taskchat_system' ELSE 'taskchat_app' END, true),
        set_config('taskchat.user_id', _bound_to, true);
END
$$;
