-- One text for SQLite and PostgreSQL. Times are epoch milliseconds.

-- Orders whose id the client chose, by an idempotency key or by PUT: what was asked for under it.
CREATE TABLE placements (
    order_id TEXT NOT NULL PRIMARY KEY,
    -- Tells a repetition from another order under the same id.
    content_sha256 TEXT NOT NULL,
    -- 1: the broker has acknowledged the order, so a repetition needs no second record.
    acknowledged BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL
);
