-- For streams, which tell what happened in the order of the log.
CREATE INDEX order_history_log ON order_history (partition_id, record_offset);
