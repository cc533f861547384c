#!/bin/sh
# Run once by the PostgreSQL image on an empty volume: one role and one database each for HAPI and for the facade.
set -eu
for name in hapi facade; do
  eval "password=\$$(echo "$name" | tr a-z A-Z)_DB_PASSWORD"
  psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -v name="$name" -v password="$password" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name" TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
