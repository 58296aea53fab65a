-- Note an event for whoever is to be told of it: the user's own hooks that ask for it, and the
-- operator's. Where there are none, this looks into two small tables and writes nothing.
--
-- It belongs into the transaction that makes the event true. The id is a UUID of version 7 and goes
-- with every attempt; what has the same `lane` is sent in the order of `seq`.
CREATE FUNCTION webhook_note_1(_owner text, _event text, _conversation uuid, _data json)
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO webhook_deliveries (user_id, id, webhook_id, lane, event, data)
        SELECT _owner,
            encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING substring(int8send(
                (extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6),
                52, 1), 53, 1), 'hex')::uuid,
            hook.id, concat_ws(' ', hook.id, _conversation), _event, _data::text
        FROM (
            SELECT h.id FROM webhooks AS h
            WHERE h.user_id = _owner AND (h.events IS NULL OR _event = ANY(h.events))
                -- One that has too much waiting takes no more until somebody sees to it.
                AND h.paused_reason IS DISTINCT FROM 'backlog'
            UNION ALL
            SELECT NULL::uuid FROM operator_webhooks WHERE wanted_until > now()
        ) AS hook;
END
$$;
