#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Proves that every plan has a bundle of the last day, with every source of the plan in it, and that its bytes in the
# repository are those that were written:
#
#   backup-verification.sh [--plan PLAN] [--max-age 26h] [--level contents]
#
# What 'salvor validate-backup' takes may follow; the last of an option given twice counts.
# Status: 0 all is proven, 8 a bundle is damaged, 10 one is missing, old or incomplete, others as in docs/errors.md.
set -eu
salvor=${SALVOR:-salvor}

case ${1:-} in
-h | --help | help)
    sed -n '3,9s/^# \{0,1\}//p' "$0"
    exit 0
    ;;
esac
exec "$salvor" validate-backup --complete --max-age 26h "$@"
