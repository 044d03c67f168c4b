-- One text for SQLite and PostgreSQL. Times are epoch milliseconds by the clock of the database; '' stands for "none".

-- The payment of each order that asked for one. Its charge and its refund are jobs.
CREATE TABLE payments (
    order_id TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN
        ('pending', 'skipped', 'charged', 'declined', 'refunding', 'refunded', 'refund_failed')),
    amount_minor BIGINT NOT NULL CHECK (amount_minor >= 0),
    -- How the gateway calls the charge.
    payment_id TEXT NOT NULL,
    -- Why the charge or the refund was declined.
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

-- The books of the built-in sandbox gateway, as a real one keeps them on its side.
CREATE TABLE sandbox_ledger (
    idempotency_key TEXT NOT NULL PRIMARY KEY,
    operation TEXT NOT NULL CHECK (operation IN ('charge', 'refund')),
    order_id TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    -- How often it was asked for.
    tries BIGINT NOT NULL,
    answer TEXT NOT NULL CHECK (answer IN ('', 'accepted', 'declined')),
    created_at BIGINT NOT NULL
);

CREATE INDEX sandbox_ledger_order ON sandbox_ledger (order_id);
