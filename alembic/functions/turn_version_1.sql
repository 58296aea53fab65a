-- What is told of a turn that is another version of one; `version_of` is null if it is none.
--
-- `version_of` is the first version, `version` counts from 1, `follows` says whether there is a turn
-- before it, and `changes_kept` counts the calls of the turns that its branch leaves out: what they
-- did to tasks stays. `_looking` names the tools that change nothing.
CREATE FUNCTION turn_version_1(
    _owner text, _turn uuid, _looking text[],
    OUT version_of uuid, OUT version int, OUT follows boolean, OUT changes_kept int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    _this turns;
BEGIN
    SELECT * INTO _this FROM turns WHERE user_id = _owner AND id = _turn;
    IF _this.version_of IS NULL THEN
        RETURN;
    END IF;
    SELECT t.id INTO version_of FROM turns AS t
        WHERE t.user_id = _owner AND t.conversation_id = _this.conversation_id
            AND t.number = _this.version_of;
    SELECT count(*) + 1 INTO version FROM turns AS t
        WHERE t.user_id = _owner AND t.conversation_id = _this.conversation_id
            AND t.version_of = _this.version_of AND t.number <= _this.number;
    follows := NOT isempty(_this.path);
    SELECT count(*) INTO changes_kept
        FROM turns AS t JOIN tool_calls AS c ON c.user_id = _owner AND c.turn_id = t.id
        WHERE t.user_id = _owner AND t.conversation_id = _this.conversation_id
            AND t.number >= _this.version_of AND t.number < _this.number
            AND NOT t.number <@ _this.path
            AND c.status = 'completed' AND c.tool_name <> ALL (_looking);
END
$$;
