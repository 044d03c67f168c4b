-- One text for SQLite and PostgreSQL. Times are epoch milliseconds by the clock of the database.

-- The pieces of each product; available + reserved + shipped is the sum of its adjustments.
CREATE TABLE stock (
    product TEXT NOT NULL PRIMARY KEY,
    available BIGINT NOT NULL CHECK (available >= 0),
    reserved BIGINT NOT NULL CHECK (reserved >= 0),
    shipped BIGINT NOT NULL CHECK (shipped >= 0)
);

-- What each order holds, or held until it ended.
CREATE TABLE reservations (
    order_id TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('held', 'released', 'shipped')),
    -- JSON object: pieces by product.
    lines TEXT NOT NULL
);

-- The ledger: every change of a product's number of pieces that no order made. Never updated.
CREATE TABLE stock_adjustments (
    id TEXT NOT NULL PRIMARY KEY,
    product TEXT NOT NULL,
    delta BIGINT NOT NULL,
    cause TEXT NOT NULL CHECK (cause IN ('seed', 'operator', 'unknown_product')),
    created_at BIGINT NOT NULL
);

CREATE INDEX stock_adjustments_product ON stock_adjustments (product, created_at);
