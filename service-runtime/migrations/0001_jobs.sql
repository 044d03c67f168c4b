-- Work with effects outside of the database (mail, charges, webhooks): see src/jobs.
-- All times are epoch milliseconds by the clock of the database.
CREATE TABLE jobs (
    job_id       TEXT   NOT NULL PRIMARY KEY,
    kind         TEXT   NOT NULL,
    order_id     TEXT   NOT NULL,
    -- Home partition of the order.
    partition_id BIGINT NOT NULL,
    state        TEXT   NOT NULL CHECK (state IN ('due', 'leased', 'done', 'dead', 'skipped')),
    attempts     BIGINT NOT NULL DEFAULT 0,
    next_try_at  BIGINT NOT NULL,
    lease_token  TEXT,
    lease_until  BIGINT,
    payload      TEXT   NOT NULL,
    result       TEXT,
    last_error   TEXT,
    -- From when the maximum age counts.
    age_from     BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    finished_at  BIGINT,
    CHECK ((state = 'leased') = (lease_until IS NOT NULL)),
    CHECK ((state = 'leased') = (lease_token IS NOT NULL))
);

-- The look and the claim: due jobs and those whose lease expired, oldest first.
CREATE INDEX jobs_open ON jobs (kind, COALESCE(lease_until, next_try_at), partition_id)
    WHERE state IN ('due', 'leased');
CREATE INDEX jobs_dead ON jobs (kind) WHERE state = 'dead';
-- The lists: of an order, and the newest.
CREATE INDEX jobs_order ON jobs (order_id, kind);
CREATE INDEX jobs_newest ON jobs (kind, created_at);
