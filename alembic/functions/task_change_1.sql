-- Change a task; what is null stays. No row if its owner has no such task.
CREATE FUNCTION task_change_1(
    _owner text, _id int, _title text, _description text, _completed boolean)
RETURNS SETOF tasks
LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY
        UPDATE tasks SET title = coalesce(_title, title),
            description = coalesce(_description, description),
            completed = coalesce(_completed, completed), updated_at = now()
        WHERE user_id = _owner AND id = _id
        RETURNING *;
END
$$;
