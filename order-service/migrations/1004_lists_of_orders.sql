-- For pages of orders, newest first: of all, and of one status.
CREATE INDEX order_views_newest ON order_views (created_at, order_id);
CREATE INDEX order_views_newest_by_status ON order_views (status, created_at, order_id);
-- Finds the oldest of a status as well.
DROP INDEX order_views_unfinished;
