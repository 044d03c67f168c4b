-- One text for SQLite and PostgreSQL.

-- The points of each shipped order. Nothing in it is personal.
CREATE TABLE points (
    order_id TEXT NOT NULL PRIMARY KEY,
    points BIGINT NOT NULL CHECK (points >= 0)
);
