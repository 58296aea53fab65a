-- Add a task under its owner's next number. One statement: the lock on the counter is held for no
-- longer than the insert takes.
CREATE FUNCTION task_add_1(_owner text, _title text, _description text) RETURNS SETOF tasks
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
        WITH number AS (
            UPDATE users SET last_task = last_task + 1 WHERE id = _owner RETURNING last_task
        )
        INSERT INTO tasks (user_id, id, title, description)
        SELECT _owner, last_task, _title, _description FROM number
        RETURNING *;
END
$$;
