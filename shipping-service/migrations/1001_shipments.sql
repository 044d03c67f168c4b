-- One text for SQLite and PostgreSQL. Times are epoch milliseconds.

-- The shipment of each order that was paid. Its dispatch is a job.
CREATE TABLE shipments (
    order_id TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('prepared', 'dispatched', 'cancelled')),
    tracking_number TEXT NOT NULL,
    -- What is in the parcel, as JSON: name and pieces of each line. Nothing about the customer.
    lines TEXT NOT NULL,
    -- When SHIPPED was appended, by the log.
    dispatched_at BIGINT,
    -- By the clock of the database.
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CHECK ((state = 'dispatched') = (dispatched_at IS NOT NULL))
);
