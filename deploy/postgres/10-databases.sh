#!/usr/bin/env bash
# One database and one role for each service, from the URLs that the services themselves get as secrets:
# postgres://ROLE:PASSWORD@HOST/DATABASE in /run/secrets/*-database-url. Runs once, when the server's volume is empty.
#
# A role is no superuser, owns no database and may connect to its own alone. The password must not need URL escapes.
set -euo pipefail

shopt -s nullglob
for secret in /run/secrets/*-database-url; do
  [[ $(<"$secret") =~ ^postgres://([^:/@]+):([A-Za-z0-9._~-]+)@[^/]+/([^/?]+) ]] ||
    { echo "$secret: not postgres://role:password@host/database, or its password needs escapes" >&2; exit 1; }
  # By the environment: arguments of a process can be read by others.
  ROLE=${BASH_REMATCH[1]} PASSWORD=${BASH_REMATCH[2]} DATABASE=${BASH_REMATCH[3]} \
    psql -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres --no-psqlrc --quiet <<'SQL'
\getenv role ROLE
\getenv password PASSWORD
\getenv database DATABASE
CREATE ROLE :"role" LOGIN PASSWORD :'password' NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
CREATE DATABASE :"database";
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"role";
\connect :"database"
ALTER SCHEMA public OWNER TO :"role";
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SQL
done

# By default everybody may connect to these.
psql -v ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres --no-psqlrc --quiet \
  -c 'REVOKE ALL ON DATABASE postgres FROM PUBLIC' -c 'REVOKE ALL ON DATABASE template1 FROM PUBLIC'
