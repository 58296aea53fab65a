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
    -- By the ranges that are left out: a branch may follow many turns that are not looked at.
    SELECT count(*) INTO changes_kept
        FROM unnest(int4multirange(int4range(1, _this.number)) - _this.path) AS r(left_out)
        JOIN turns AS t ON t.user_id = _owner AND t.conversation_id = _this.conversation_id
            AND t.number >= lower(r.left_out) AND t.number < upper(r.left_out)
        JOIN tool_calls AS c ON c.user_id = _owner AND c.turn_id = t.id
        WHERE c.status = 'completed' AND c.tool_name <> ALL (_looking);
END
$$;
