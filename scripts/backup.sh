#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes backups, by the words of runbooks:
#
#   backup.sh full [--encrypt] [--comment TEXT] [PLAN...]     every source, stored in full
#   backup.sh incremental [--comment TEXT] [PLAN...]          every source, what changed
#   backup.sh emergency [--comment TEXT] [PLAN...]            in full, with the tag 'emergency'
#   backup.sh database SOURCE [--comment TEXT] [PLAN]         one source
#
# What 'salvor backup' takes may follow. Bundles are always encrypted; --encrypt is taken for old habits' sake.
# Status: 0 done, 3 some sources failed and the rest is in the bundle, others as in docs/errors.md.
set -eu
salvor=${SALVOR:-salvor}

usage() {
    sed -n '3,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

kind=${1:-}
[ -n "$kind" ] || usage
shift
left=$#
while [ "$left" -gt 0 ]; do
    argument=$1
    shift
    [ "$argument" = --encrypt ] || set -- "$@" "$argument"
    left=$((left - 1))
done
case $kind in
full) exec "$salvor" backup --wait 1h --full "$@" ;;
incremental) exec "$salvor" backup --wait 1h "$@" ;;
emergency) exec "$salvor" backup --wait 1h --full --tag emergency "$@" ;;
database)
    source=${1:-}
    [ -n "$source" ] || usage
    shift
    exec "$salvor" backup --wait 1h --source "$source" "$@"
    ;;
*) usage ;;
esac
