-- For the age of the oldest order in each status that is not an end.
CREATE INDEX order_views_unfinished
    ON order_views (status, created_at)
    WHERE status IN ('PENDING', 'RESERVED', 'PAID');
