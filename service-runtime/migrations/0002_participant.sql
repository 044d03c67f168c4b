-- One text for SQLite and PostgreSQL. Times are epoch milliseconds; '' stands for "none yet".

-- Which log a participant's rows were folded from.
CREATE TABLE participant_logs (
    participant TEXT NOT NULL PRIMARY KEY,
    cluster_id TEXT NOT NULL,
    topic TEXT NOT NULL,
    partitions BIGINT NOT NULL
);

-- How far each partition is folded; never used to skip, only to compare.
CREATE TABLE participant_positions (
    participant TEXT NOT NULL,
    partition_id BIGINT NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (participant, partition_id)
);

-- Folded status and stored outcome of each order.
CREATE TABLE participant_orders (
    participant TEXT NOT NULL,
    order_id TEXT NOT NULL,
    home_partition BIGINT NOT NULL,
    status TEXT NOT NULL DEFAULT '',
    state_rank BIGINT NOT NULL DEFAULT 0,
    -- An outcome is unconfirmed while its rank is above the folded one.
    outcome_rank BIGINT NOT NULL DEFAULT 0,
    -- The exact event to append: key, headers and value as JSON.
    outcome TEXT NOT NULL DEFAULT '',
    -- 1: the decision failed for good and its record is a dead letter.
    failure BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (participant, order_id)
);

CREATE INDEX participant_orders_unconfirmed
    ON participant_orders (participant, home_partition, order_id)
    WHERE outcome_rank > state_rank;
