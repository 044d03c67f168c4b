-- For pages of jobs of every kind, newest first: of all, and of the dead ones.
CREATE INDEX jobs_newest_of_all ON jobs (created_at DESC, job_id);
CREATE INDEX jobs_newest_dead ON jobs (created_at DESC, job_id) WHERE state = 'dead';
