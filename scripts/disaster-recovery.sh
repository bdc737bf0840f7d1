#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Recovery, by the words of runbooks:
#
#   disaster-recovery.sh list-backups [PLAN]
#   disaster-recovery.sh validate-backup BUNDLE [--level LEVEL]
#   disaster-recovery.sh restore BUNDLE [--data-only] [--dry-run] [--yes]
#   disaster-recovery.sh rebuild-index [--probe 'PROGRAM ARGUMENT...']
#
# rebuild-index puts the search indexes of a plan (sources with 'index: true') back to the last good bundle: restored
# beside, verified, swapped, probed, and swapped back when the probe fails. What salvor's commands take may follow.
# Status: 0 done, 4 refused and nothing changed, 5 not found, 8 the bundle is damaged, others as in docs/errors.md.
set -eu
salvor=${SALVOR:-salvor}

usage() {
    sed -n '3,12s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

command=${1:-}
[ -n "$command" ] || usage
shift
case $command in
list-backups) exec "$salvor" list-backups "$@" ;;
validate-backup | restore)
    [ $# -gt 0 ] || usage
    exec "$salvor" "$command" "$@"
    ;;
rebuild-index) exec "$salvor" restore latest-good --indexes --yes --no-safety-bundle "$@" ;;
*) usage ;;
esac
