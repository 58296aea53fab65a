-- Delete a task; returns what it was. No row if its owner has no such task.
CREATE FUNCTION task_delete_1(_owner text, _id int) RETURNS SETOF tasks
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY DELETE FROM tasks WHERE user_id = _owner AND id = _id RETURNING *;
END
$$;
