#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Restores a bundle; without one, shows what there is:
#
#   restore.sh BUNDLE [--source SOURCE] [--data-only] [--dry-run] [--yes]
#
# What 'salvor restore' takes may follow. Asks before anything is replaced, unless --yes is given.
# Status: 0 done, 2 no bundle named, 4 refused and nothing changed, others as in docs/errors.md.
set -eu
salvor=${SALVOR:-salvor}

if [ $# -eq 0 ]; then
    sed -n '3,8s/^# \{0,1\}//p' "$0" >&2
    "$salvor" list-backups
    exit 2
fi
exec "$salvor" restore "$@"
