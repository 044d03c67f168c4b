-- One text for SQLite and PostgreSQL. Times are epoch milliseconds; '' stands for "none".

-- What the command side has read of each order: enough to end it. Written only while the order's row in
-- participant_orders is locked.
CREATE TABLE command_orders (
    order_id TEXT NOT NULL PRIMARY KEY,
    -- Its home partition.
    partition_id BIGINT NOT NULL,
    -- open: it can be cancelled. cancelling: its CANCELLED is stored and not read back yet. ended.
    -- unreadable: not ended, but nobody knows what was ordered, so no event about it can be made.
    state TEXT NOT NULL CHECK (state IN ('open', 'cancelling', 'ended', 'unreadable')),
    -- From when its deadline counts.
    placed_at BIGINT NOT NULL,
    -- What CANCELLED has to say, JSON with personal data: kept until the order has ended.
    content TEXT NOT NULL DEFAULT '',
    -- Of what was ordered, as in placements; stays.
    content_sha256 TEXT NOT NULL DEFAULT '',
    -- Why it ended.
    reason TEXT NOT NULL DEFAULT ''
);

-- For the deadline: the oldest orders that nobody has ended.
CREATE INDEX command_orders_open ON command_orders (partition_id, placed_at) WHERE state = 'open';
