-- One text for SQLite and PostgreSQL. Times are epoch milliseconds; '' stands for "none".

-- The read model has generations: one is in use, and `rebuild` makes the next one beside it from the log.
CREATE TABLE read_model (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    -- The one in use. Every query reads it, and every batch in its own transaction.
    generation BIGINT NOT NULL
);
INSERT INTO read_model (only_row, generation) VALUES (1, 1);

-- Apart from that row, which all batches read: a rebuild renews its lease without holding them up.
CREATE TABLE read_model_rebuild (
    only_row BIGINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    -- The last number given; none is given twice.
    last_generation BIGINT NOT NULL,
    -- Of the rebuild that is at work.
    token TEXT NOT NULL,
    -- By the clock of the database; from then on another one may begin.
    lease_until BIGINT NOT NULL
);
INSERT INTO read_model_rebuild (only_row, last_generation, token, lease_until) VALUES (1, 1, '', 0);

-- SQLite cannot change a primary key, so the tables are made anew. What is there is the first generation.
ALTER TABLE order_views RENAME TO order_views_before;
ALTER TABLE order_history RENAME TO order_history_before;

CREATE TABLE order_views (
    generation BIGINT NOT NULL,
    order_id TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- What was ordered, JSON without the e-mail address; '' while no readable event was seen.
    content TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (generation, order_id)
);
INSERT INTO order_views (generation, order_id, status, reason, content, created_at, updated_at)
    SELECT 1, order_id, status, reason, content, created_at, updated_at FROM order_views_before;

CREATE TABLE order_history (
    generation BIGINT NOT NULL,
    order_id TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    partition_id BIGINT NOT NULL,
    record_offset BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (generation, order_id, status)
);
INSERT INTO order_history (generation, order_id, status, reason, partition_id, record_offset, recorded_at)
    SELECT 1, order_id, status, reason, partition_id, record_offset, recorded_at FROM order_history_before;

-- Their indexes go with them.
DROP TABLE order_views_before;
DROP TABLE order_history_before;

CREATE INDEX order_views_newest ON order_views (generation, created_at, order_id);
CREATE INDEX order_views_newest_by_status ON order_views (generation, status, created_at, order_id);
CREATE INDEX order_history_log ON order_history (generation, partition_id, record_offset);
