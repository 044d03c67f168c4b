-- Up to which offset of a partition history is read without publishing (rule R13). It stays when that is
-- over: whoever reads on from behind it takes no notice.
ALTER TABLE participant_positions ADD COLUMN quiet_until BIGINT NOT NULL DEFAULT 0;
