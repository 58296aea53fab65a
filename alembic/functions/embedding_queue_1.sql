-- Queue new messages for every embedding model that is in use: the row that has no vector yet is
-- the place in the queue, committed with the message. Without a model in use nothing is written.
CREATE FUNCTION embedding_queue_1() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO message_embeddings (user_id, message_id, model)
        SELECT a.user_id, a.id, m.id FROM added AS a, embedding_models AS m
        WHERE m.wanted_until > now();
    RETURN NULL;
END
$$;
