#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A night in one line for schedulers that know nothing else: backs up, proves the new bundles, prunes:
#
#   daily-backup.sh
#
# Every step is taken whatever became of the ones before; a prune refuses by itself after a failed backup.
# Status: 0 all went well, else that of the first step that failed, as in docs/errors.md.
set -eu
salvor=${SALVOR:-salvor}

if [ $# -gt 0 ]; then
    sed -n '3,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
worst=0
# step COMMAND...: remembers the first status that is not 0
step() {
    "$salvor" "$@" || {
        status=$?
        echo "daily-backup.sh: salvor $1: status $status" >&2
        if [ "$worst" -eq 0 ]; then worst=$status; fi
    }
}
step backup --wait 4h
step validate-backup --complete --max-age 26h
step prune --apply
exit "$worst"
