#!/bin/sh
# Makes the database at the first start, then becomes the server. What it reads from the environment and from
# /docker-entrypoint-initdb.d has the names of the image `postgres` of Docker's library, so that a manifest fits both.
set -eu
export PATH="/usr/lib/postgresql/MAJOR/bin:$PATH"

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  initdb --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth-host=scram-sha-256 --auth-local=trust --encoding=UTF8 --locale=C
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  # Nobody outside may meet a database that is half made: only the socket is open.
  pg_ctl --wait --options="-c listen_addresses='' $*" start
  for file in /docker-entrypoint-initdb.d/*.sql; do
    [ ! -f "$file" ] || psql --set=ON_ERROR_STOP=1 --no-psqlrc --username=postgres --file="$file"
  done
  pg_ctl --wait --mode=fast stop
fi
exec postgres -c listen_addresses='*' "$@"
