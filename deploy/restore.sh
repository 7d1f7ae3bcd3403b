#!/bin/sh
# A backup becomes the database NAME. What had that name is kept under another one. The centre must be stopped.
#
#   deploy/restore.sh FILE NAME CONFIG
#
# CONFIG is the centre's file (central.toml); its database is not used, NAME is. Where the server is, and as whom,
# is said by libpq's own variables (PGHOST, PGPORT, PGUSER, PGPASSFILE): as a superuser, or as the role that owns
# the tables if it may create databases. That role must exist; all that is restored belongs to it again.
# The backup is restored under a name that no program knows, brought up to date, and given a new epoch. Only then
# does it get its name: nobody can speak for it under the epoch of the one that was lost.
# Grants to other roles are not restored, as these may not exist here: run deploy/auditor-role.sql again.
# SMOKEWATCH_CENTRAL: the program, when it is not found as smokewatch-central.
set -eu
[ $# -eq 3 ] || { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
file=$1
name=$2
config=$3
central=${SMOKEWATCH_CENTRAL:-smokewatch-central}
case $name in
'' | *[!a-z0-9_]*) echo "restore: NAME may have a-z, 0-9 and _ only, not '$name'" >&2; exit 2 ;;
esac
[ -r "$config" ] || { echo "restore: cannot read $config" >&2; exit 2; }
staging=${name}_restoring
kept=${name}_until_$(date -u +%Y%m%dt%H%M%Sz)

server() { psql -X -q -At -v ON_ERROR_STOP=1 --dbname=postgres -c "$1"; }
inside() { psql -X -q -At -v ON_ERROR_STOP=1 --dbname="$staging" -c "$1" >/dev/null; }
stopped() {
    [ "$(server "SELECT count(*) FROM pg_stat_activity WHERE datname = '$name' AND backend_type = 'client backend'")" = 0 ] ||
        { echo "restore: somebody works on $name: stop the centre first (systemctl stop smokewatch-central)" >&2; exit 1; }
}
# TimescaleDB's own scheduler sits in every database that has the extension, and comes back when it was ended.
rename() {
    for _ in 1 2 3 4 5 6 7 8 9; do
        server "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = '$1' AND backend_type <> 'client backend'" >/dev/null
        ! server "ALTER DATABASE $1 RENAME TO $2" 2>/dev/null || return 0
    done
    server "ALTER DATABASE $1 RENAME TO $2"
}

listed=$(pg_restore --list "$file") || { echo "restore: $file is no backup" >&2; exit 1; }
owner=$(printf '%s\n' "$listed" | sed -n 's/^[0-9]*; [0-9]* [0-9]* TABLE public event //p')
[ -n "$owner" ] || { echo "restore: $file is no backup of Smokewatch" >&2; exit 1; }
stopped
server "DROP DATABASE IF EXISTS $staging WITH (FORCE)" # of a run that did not end
server "CREATE DATABASE $staging OWNER \"$owner\" TEMPLATE template0 ENCODING 'UTF8'"
trap 'server "DROP DATABASE IF EXISTS $staging WITH (FORCE)" || true' EXIT
trap 'exit 1' HUP INT TERM

if printf '%s\n' "$listed" | grep -q ' EXTENSION - timescaledb'; then
    inside "CREATE EXTENSION timescaledb" ||
        { echo "restore: this backup is of TimescaleDB, and this server has none of that version" >&2; exit 1; }
    inside "SELECT timescaledb_pre_restore()"
    pg_restore --exit-on-error --no-acl --no-comments --dbname="$staging" "$file"
    inside "SELECT timescaledb_post_restore()"
else
    pg_restore --exit-on-error --single-transaction --no-acl --no-comments --dbname="$staging" "$file"
fi
inside "ANALYZE"
server "ALTER DATABASE $staging SET role = '$owner'" # what the next two make belongs to the same role
SMOKEWATCH_DATABASE_DSN="dbname=$staging" "$central" migrate --config "$config"
SMOKEWATCH_DATABASE_DSN="dbname=$staging" "$central" admin new-epoch --config "$config"
server "ALTER DATABASE $staging RESET role"

stopped
if [ "$(server "SELECT count(*) FROM pg_database WHERE datname = '$name'")" != 0 ]; then
    rename "$name" "$kept"
    echo "the database of before is kept as $kept: dropdb $kept when you need it no more"
fi
rename "$staging" "$name"
trap - EXIT
echo "$name is restored from $file under a new epoch: start the centre, and every gateway reports again"
