#!/bin/sh
# One backup of the database into a folder: whole or not at all, read back before it counts, the oldest ones go.
#
#   PGDATABASE=smokewatch deploy/backup.sh FOLDER [KEEP]
#
# Where the database is, and as whom, is said by libpq's own variables (PGHOST, PGPORT, PGUSER, PGDATABASE,
# PGPASSFILE): a password in an argument would be seen by everybody on this machine. KEEP: how many stay (14).
# Prints the file's name. Exit code 0: it is there, on disk, and can be read.
set -eu
umask 077
[ $# -ge 1 ] && [ $# -le 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$1
keep=${2:-14}
case $keep in
'' | *[!0-9]* | 0) echo "backup: KEEP must be a number above 0, not '$keep'" >&2; exit 2 ;;
esac
mkdir -p "$folder"
exec 9>"$folder/.lock"
flock -n 9 || { echo "backup: another one runs in $folder" >&2; exit 1; }

name=smokewatch-$(date -u +%Y%m%dT%H%M%SZ).dump
part=$folder/.$name.part
trap 'rm -f "$part"' EXIT
trap 'exit 1' HUP INT TERM
rm -f "$folder"/.smokewatch-*.dump.part # of a run that was killed

# pg_dump waits for the disk before it ends. It looks at one moment and blocks nobody but a migration.
pg_dump --format=custom --file="$part"
pg_restore --list "$part" >"$part.list" || { rm -f "$part.list"; exit 1; }
for table in event alarm delivery epoch; do
    grep -q " TABLE DATA public $table " "$part.list" ||
        { rm -f "$part.list"; echo "backup: no table $table in it: is PGDATABASE Smokewatch's?" >&2; exit 1; }
done
rm -f "$part.list"
pg_restore --file=/dev/null "$part" # every byte of it, unpacked
mv "$part" "$folder/$name"
sync "$folder"

ls -1 "$folder" | grep -E '^smokewatch-[0-9]{8}T[0-9]{6}Z\.dump$' | sort -r | tail -n +$((keep + 1)) |
    while read -r old; do rm -f "$folder/$old"; done
echo "$folder/$name"
