-- One text for SQLite and PostgreSQL. Times are epoch milliseconds; '' stands for "none".

-- The read model: the state of each order as this service has folded it.
CREATE TABLE order_views (
    order_id TEXT NOT NULL PRIMARY KEY,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    -- What was ordered, JSON without the e-mail address; '' while no readable event was seen.
    content TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- The events that moved each order on. The fold lets a status in at most once.
CREATE TABLE order_history (
    order_id TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    partition_id BIGINT NOT NULL,
    record_offset BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (order_id, status)
);
