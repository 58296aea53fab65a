-- What a task tool does; returns what it answers, as JSON, or null if there is no such task.
--
-- `_effect`: add, change, delete or list. `_done` is how the answer calls it.
CREATE FUNCTION task_effect_1(
    _owner text, _effect text, _done text, _id int, _title text, _description text,
    _completed boolean, _listed_max int)
RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    _task tasks;
BEGIN
    CASE _effect
    WHEN 'add' THEN
        SELECT * INTO _task FROM task_add_1(_owner, _title, _description);
    WHEN 'change' THEN
        SELECT * INTO _task FROM task_change_1(_owner, _id, _title, _description, _completed);
    WHEN 'delete' THEN
        SELECT * INTO _task FROM task_delete_1(_owner, _id);
    WHEN 'list' THEN
        RETURN (
            SELECT '{"tasks":[' || coalesce(string_agg(
                    '{"id":' || t.id || ',"title":' || to_json(t.title) || ',"description":'
                    || to_json(t.description) || ',"completed":' || t.completed || '}',
                    ',' ORDER BY t.id) FILTER (WHERE t.place <= _listed_max), '')
                || '],"total":' || count(*) || '}'
            FROM (
                SELECT id, title, description, completed, row_number() OVER (ORDER BY id) AS place
                FROM tasks
                WHERE user_id = _owner AND (_completed IS NULL OR completed = _completed)
            ) AS t
        );
    END CASE;
    IF _task.id IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN '{"task_id":' || _task.id || ',"status":"' || _done || '","title":'
        || to_json(_task.title) || '}';
END
$$;
