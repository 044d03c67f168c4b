-- One text for SQLite and PostgreSQL. Times are epoch milliseconds by the clock of the database; '' stands for "none".

-- Who is told of what. The deliveries are jobs.
CREATE TABLE webhooks (
    id TEXT NOT NULL PRIMARY KEY,
    url TEXT NOT NULL,
    -- As it is: it signs every request.
    secret TEXT NOT NULL,
    -- States of an order, separated by commas.
    states TEXT NOT NULL,
    -- A deleted one stays, without URL and secret: a worker may still hold a delivery of it.
    state TEXT NOT NULL CHECK (state IN ('enabled', 'disabled', 'deleted')),
    -- Why it is disabled.
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
