#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Recovers a Salvor bundle with stock tools. RECOVER.md, beside this file, says how.
#
#   sh recover.sh <bundle-dir> [<source> [<stream>]]
#
# Writes ./<source>/<stream> for dumps and ./<source>/... for trees. Nothing appears under ./<source> before the whole
# source was checked: every object's size and SHA-256, gpg's own statement that a message is whole and unaltered, the
# length of every slice and of every stream. No exit status is taken as proof by itself.
#
# Needs sh, gpg, zstd (1.4.5 or newer for deltas), awk, dd, sha256sum, cat, mkdir, mv, rm, wc; for trees also tar, tr, xargs.
# Needs room for what is recovered, the base of a delta or an incremental, and one slice.

set -u
set -f
LC_ALL=C
export LC_ALL
umask 077
unset CDPATH GREP_OPTIONS TAR_OPTIONS ZSTD_CLEVEL ZSTD_NBTHREADS

say() { printf '%s\n' "recover: $*" >&2; }
die() {
    printf '%s\n' "recover: ERROR: $*" >&2
    exit 1
}

if [ $# -lt 1 ] || [ $# -gt 3 ]; then
    printf '%s\n' "usage: recover.sh <bundle-dir> [<source> [<stream>]]" >&2
    exit 2
fi
bundle=$1
wanted_source=${2-}
wanted_stream=${3-}

for tool in gpg zstd awk dd sha256sum cat mkdir mv rm wc; do
    command -v "$tool" >/dev/null || die "'$tool' is not in PATH"
done

# Absolute paths, so that changing folders is harmless.
here=$(pwd) || die "no current folder"
bundle=$(cd "$bundle" 2>/dev/null && pwd) || die "no folder '$1'"

work=$here/.recover.$$
mkdir "$work" || die "unable to make '$work'"
cleanup() { rm -rf "$work"; }
trap cleanup EXIT
trap 'exit 130' HUP INT TERM

# --- Checks -----------------------------------------------------------------------------------------------------------

# size_of FILE: its length in bytes.
size_of() { printf '%s' "$(($(wc -c <"$1")))"; }

# digest_of FILE: its SHA-256. From standard input, so that no file name is in the answer.
digest_of() {
    digest=$(sha256sum <"$1") || return 1
    printf '%s' "${digest%% *}"
}

# check_object FILE SIZE SHA256 NAME: the file is the one that was stored.
check_object() {
    [ -f "$1" ] || die "$4 is missing"
    [ "$(size_of "$1")" = "$2" ] || die "$4 has $(size_of "$1") bytes instead of $2"
    [ "$(digest_of "$1")" = "$3" ] || die "$4 is damaged: its SHA-256 is not the recorded one"
}

# check_bundle FOLDER: signature, digest of segments.tsv, and its inner agreement. Leaves a checked copy in $work/table.
check_bundle() {
    [ -f "$1/manifest.json" ] || die "'$1' is no bundle: it has no manifest.json (or the run that wrote it never finished)"
    cat "$1/manifest.json" >"$work/manifest" || die "unable to read '$1/manifest.json'"
    cat "$1/segments.tsv" >"$work/table" || die "unable to read '$1/segments.tsv'"
    check_signature "$1"
    # The manifest's "objects" hold {"segments.tsv": {"sha256": "...", "size": ...}}, in this order, each on a line or not.
    awk '
        { text = text $0 }
        END {
            gsub(/[ \t\r]/, "", text)
            at = index(text, "\"segments.tsv\":{")
            if (!at) exit 1
            text = substr(text, at + 16)
            text = substr(text, 1, index(text, "}") - 1)
            if (!match(text, /"sha256":"[0-9a-f]+"/)) exit 1
            digest = substr(text, RSTART + 10, RLENGTH - 11)
            if (!match(text, /"size":[0-9]+/)) exit 1
            print substr(text, RSTART + 7, RLENGTH - 7), digest
        }' "$work/manifest" >"$work/expected" || die "the manifest of '$1' does not name segments.tsv"
    check_identity "$1"
    read -r size digest <"$work/expected"
    check_object "$work/table" "$size" "$digest" "segments.tsv of '$1'"
    awk -F '\t' '
        function bad(why) { print why; failed = 1; exit 1 }
        function name(text) { return length(text) <= 100 && text ~ /^[A-Za-z0-9_][A-Za-z0-9._-]*$/ }
        function number(text) { return length(text) <= 15 && text ~ /^[0-9]+$/ }
        function whole() { if (streams && (seen != announced || offset != raw)) bad("stream " stream " is not whole") }
        NR == 1 {
            if ($1 != "salvor-segments" || NF != 2) bad("it has no header")
            if ($2 != "1") bad("it has format " $2 ", and this script reads format 1: use the one that came with the bundle")
            next
        }
        ended { bad("there is something behind its end") }
        $1 == "stream" && NF == 8 {
            whole()
            if (!name($2) || !name($3) || !number($6) || !number($7)) bad("line " NR)
            if ($4 != "raw" && $4 != "tar") bad("line " NR)
            if ($5 == "full" ? $8 != "-" : ($5 != "delta" && $5 != "incremental")) bad("line " NR)
            if ($5 != "full") {
                parts = split($8, part, "/")
                if (parts != 6 || part[1] != "bundles") bad("line " NR)
                for (i = 2; i <= 6; i++) if (!name(part[i])) bad("line " NR)
            }
            stream = $2 "/" $3; storage = $5
            if (stream in known) bad("stream " stream " is there twice")
            known[stream] = 1
            streams++; seen = 0; announced = $6 + 0; raw = $7 + 0; offset = 0
            next
        }
        $1 == "segment" && NF == 8 && streams {
            if (split($2, part, "/") != 3 || part[1] "/" part[2] != stream || !name(part[3])) bad("line " NR)
            if (!number($3) || length($4) != 64 || $4 !~ /^[0-9a-f]+$/ || !number($5) || !number($6)) bad("line " NR)
            if ($5 + 0 != offset) bad("the segments of " stream " do not adjoin")
            if ($7 == "-" ? $8 != "-" : (!number($7) || !number($8) || storage != "delta")) bad("line " NR)
            offset += $6; seen++; segments++
            next
        }
        $1 == "end" && NF == 3 {
            whole()
            if ($2 != streams + 0 || $3 != segments + 0) bad("its closing counts differ")
            ended = 1
            next
        }
        { bad("line " NR) }
        END { if (!failed && !ended) print "it has no end" }
    ' "$work/table" >"$work/problem" || [ -s "$work/problem" ] || printf 'awk failed\n' >"$work/problem"
    if [ -s "$work/problem" ]; then
        read -r problem <"$work/problem"
        die "segments.tsv of '$1' is damaged: $problem"
    fi
}

# check_identity FOLDER: a manifest is of the bundle whose folder it lies in.
check_identity() {
    awk -v id="${1##*/}" '
        { text = text $0 }
        END {
            gsub(/[ \t\r]/, "", text)
            if (match(text, /"previous":\{[^}]*\}/)) text = substr(text, 1, RSTART - 1) substr(text, RSTART + RLENGTH)
            exit !index(text, "\"id\":\"" id "\"")
        }' "$work/manifest" || die "the manifest in '$1' is of another bundle (or the folder was renamed)"
    awk '{ gsub(/[ \t\r]/, ""); text = text $0 } END { exit !index(text, "\"state\":\"partial\"") }' "$work/manifest" &&
        say "WARNING: '${1##*/}' is partial: some of its plan's sources failed and are not in it"
    return 0
}

# check_signature FOLDER: refuses a bad signature; says so when it cannot be checked.
check_signature() {
    [ -f "$1/manifest.json.sig" ] || die "'$1' has no manifest.json.sig"
    # The exit status is not asked: the status lines say more.
    gpg --batch --status-fd 1 --verify "$1/manifest.json.sig" "$work/manifest" >"$work/status" 2>"$work/errors"
    verdict=$(awk '
        $1 != "[GNUPG:]" { next }
        $2 == "GOODSIG" || $2 == "EXPKEYSIG" || $2 == "REVKEYSIG" || $2 == "BADSIG" || $2 == "EXPSIG" { sorts++; sort = $2 }
        # ERRSIG: key id, algorithms, class, time, reason (9: no public key), and from gpg 2.2.7 on the fingerprint.
        $2 == "ERRSIG" { sorts++; sort = $8 == 9 ? "UNKNOWN " ($9 ~ /^[0-9A-F]+$/ ? $9 : $3) : "ERRSIG" }
        $2 == "VALIDSIG" { signer = $NF }
        END { if (sorts == 1) print sort, signer; else print "NONE" }' "$work/status") || die "awk failed"
    case $verdict in
    "GOODSIG "?*) say "manifest signed by ${verdict#GOODSIG }: compare with your recovery sheet" ;;
    "EXPKEYSIG "?*) say "manifest signed by ${verdict#EXPKEYSIG }, whose key has expired since: compare with your recovery sheet" ;;
    "UNKNOWN "*)
        say "WARNING: the signature of '$1' was NOT checked, since the signer's key (${verdict#UNKNOWN }) is not in your keyring."
        say "WARNING: import it from a place you trust; or from the repository's keys/, comparing its fingerprint."
        ;;
    *)
        cat "$work/errors" >&2
        die "the signature of '$1' is not good (${verdict:-NONE}): do not trust this bundle"
        ;;
    esac
}

# --- Streams ----------------------------------------------------------------------------------------------------------

# open_message FILE OUTPUT NAME: decrypts one message.
open_message() {
    rm -f "$2"
    # gpg exits with 0 for some messages that were cut off, so its own statements are demanded.
    gpg --batch --status-fd 1 --output "$2" --decrypt "$1" >"$work/status" 2>"$work/errors"
    code=$?
    awk '
        $1 != "[GNUPG:]" { next }
        $2 == "DECRYPTION_OKAY" { okay++ }
        $2 == "GOODMDC" { whole++ }
        $2 == "PLAINTEXT" { files++ }
        $2 == "DECRYPTION_FAILED" || $2 == "BADMDC" { bad++ }
        END { exit !(okay == 1 && whole == 1 && files == 1 && !bad) }' "$work/status" && [ $code -eq 0 ] && [ -f "$2" ] && return
    cat "$work/errors" >&2
    die "gpg did not decrypt $3"
}

# cut_window FILE OFFSET LENGTH: that part of the file, in $work/window.
cut_window() {
    end=$(($2 + $3))
    size=$(size_of "$1")
    [ "$end" -le "$size" ] || die "a window reaches beyond the base stream"
    # The largest block that divides the offset, and the length unless the window ends where the file does.
    block=4194304
    while [ $(($2 % block)) -ne 0 ] || { [ "$end" -ne "$size" ] && [ $(($3 % block)) -ne 0 ]; }; do
        block=$((block / 2))
    done
    if [ "$block" -ge 512 ]; then
        dd if="$1" of="$work/window" bs="$block" skip=$(($2 / block)) count=$((($3 + block - 1) / block)) 2>"$work/errors"
    else
        # Only GNU's and BusyBox's dd count in bytes.
        dd if="$1" of="$work/window" bs=1048576 iflag=skip_bytes,count_bytes,fullblock skip="$2" count="$3" 2>"$work/errors"
    fi || {
        cat "$work/errors" >&2
        die "dd failed"
    }
    [ "$(size_of "$work/window")" = "$3" ] || die "dd cut a window of another length"
}

# slices FOLDER TABLE SOURCE STREAM OUTPUT BASE-FILE: all slices of one stream, in order, into one file.
slices() {
    awk -F '\t' -v OFS='\t' -v source="$3" -v stream="$4" '
        $1 == "stream" { on = ($2 == source && $3 == stream); if (on) print "stream", $6, $7 }
        $1 == "segment" && on { print "segment", $2, $3, $4, $5, $6, $7, $8 }' "$2" >"$5.plan" || die "awk failed"
    : >"$5" || die "unable to write '$5'"
    total=
    tab=$(printf '\t')
    while IFS=$tab read -r sort a b c d e f g <&4; do
        if [ "$sort" = stream ]; then
            segments=$a
            total=$b
            count=0
            continue
        fi
        object=$a
        offset=$d
        length=$e
        count=$((count + 1))
        [ -t 2 ] && printf '\rrecover: %s/%s: %s of %s ' "$3" "$4" "$count" "$segments" >&2
        check_object "$1/$object" "$b" "$c" "'$object'"
        open_message "$1/$object" "$work/frame" "'$object'"
        if [ "$f" = "-" ]; then
            zstd -q -d -c "$work/frame" >>"$5" || die "zstd did not decode '$object'"
        else
            [ -n "$6" ] || die "'$object' needs a base, and its stream names none"
            cut_window "$6" "$f" "$g"
            zstd -q -d -c --patch-from="$work/window" "$work/frame" >>"$5" || die "zstd did not decode '$object'"
        fi
        [ "$(size_of "$5")" = $((offset + length)) ] || die "'$object' did not give $length bytes"
    done 4<"$5.plan"
    [ -t 2 ] && [ -n "$total" ] && printf '\r' >&2
    rm -f "$work/frame" "$work/window" "$5.plan"
    [ -n "$total" ] || die "'$1' has no stream $3/$4"
    [ "$count" = "$segments" ] || die "stream $3/$4 has $count segments instead of $segments"
    [ "$(size_of "$5")" = "$total" ] || die "stream $3/$4 has $(size_of "$5") bytes instead of $total"
    say "$3/$4: $count segments, $total bytes, all as recorded"
}

# base_stream BASE SOURCE STREAM: recovers the full that BASE (bundles/...) holds, into $work/base.
base_stream() {
    # Beside in the same repository, or beside this bundle's own folder.
    for folder in "$bundle/../../../../../../$1" "$bundle/../${1##*/}"; do
        [ -f "$folder/manifest.json" ] && break
    done
    [ -f "$folder/manifest.json" ] || die "$2/$3 needs the bundle '$1', which is not in this repository"
    say "$2/$3 builds on $1"
    check_bundle "$folder"
    mv "$work/table" "$work/base-table" || die "unable to rename"
    awk -F '\t' -v source="$2" -v stream="$3" '
        $1 == "stream" && $2 == source && $3 == stream && $5 == "full" { found = 1 }
        END { exit !found }' "$work/base-table" || die "the bundle '$1' has no full of $2/$3"
    slices "$folder" "$work/base-table" "$2" "$3" "$work/base" ""
}

# --- Trees ------------------------------------------------------------------------------------------------------------

# extract FILE FOLDER: unpacks a tar.
extract() {
    [ -s "$1" ] || return 0
    case $(tar --version 2>/dev/null) in
    *GNU*) tar --numeric-owner --xattrs --xattrs-include='*' --acls --warning=no-unknown-keyword -x -p -f "$1" -C "$2" ;;
    *) tar -x -p -f "$1" -C "$2" ;;
    esac || die "tar did not unpack everything"
}

# delete_listed FILE FOLDER: removes what the list at the head of an incremental names: paths, each ended by a NUL.
delete_listed() {
    tar -x -O -f "$1" .salvor-deleted >"$work/deleted" 2>"$work/errors" || {
        cat "$work/errors" >&2
        die "the incremental has no list of deletions"
    }
    [ -s "$work/deleted" ] || return 0
    # One path to a line, for checking: newlines in names become a byte that is in none of them.
    for mark in 001 002 003 004 005 006 016 017 020 021 ""; do
        [ -n "$mark" ] || die "the names in the list of deletions are too odd to check"
        tr -c -d "\\$mark" <"$work/deleted" >"$work/marks" || die "tr failed"
        [ -s "$work/marks" ] || break
    done
    tr "\\n\\000" "\\$mark\\n" <"$work/deleted" >"$work/lines" || die "tr failed"
    # No path may leave the tree. Every folder on the way to one is printed once.
    awk -F / '
        /^$/ || /^\// || /(^|\/)\.\.?(\/|$)/ { exit 1 }
        {
            way = ""
            for (i = 1; i < NF; i++) { way = way (i > 1 ? "/" : "") $i; if (!(way in known)) { known[way] = 1; print way } }
        }' "$work/lines" >"$work/folders" || die "the list of deletions names something outside its tree"
    while IFS= read -r folder <&4; do
        folder=$(printf '%s.' "$folder" | tr "\\$mark" "\\n")
        # Removing through a link would leave the tree.
        if [ -h "$2/${folder%.}" ]; then die "the list of deletions leads through a link"; fi
    done 4<"$work/folders"
    (cd "$2" && xargs -0 rm -rf -- <"$work/deleted") || die "unable to delete what the list names"
}

# --- The work ---------------------------------------------------------------------------------------------------------

say "bundle $bundle"
check_bundle "$bundle"
mv "$work/table" "$work/segments" || die "unable to rename"
awk -F '\t' -v OFS='\t' -v source="$wanted_source" -v stream="$wanted_stream" '
    $1 == "stream" && (source == "" || $2 == source) && (stream == "" || $3 == stream) { print $2, $3, $4, $5, $8 }
    ' "$work/segments" >"$work/chosen" || die "awk failed"
[ -s "$work/chosen" ] || {
    awk -F '\t' '$1 == "stream" { print "  " $2 "/" $3 }' "$work/segments" >&2
    die "the bundle has no such stream; it has those above"
}

# Nothing that exists is touched, and that is said before the work, not after it.
tab=$(printf '\t')
while IFS=$tab read -r source stream kind storage base <&3; do
    if [ -n "$wanted_stream" ] && [ "$kind" = raw ]; then target=$here/$source/$stream; else target=$here/$source; fi
    if [ -e "$target" ] || [ -h "$target" ]; then die "'$target' is in the way: move it, or work in an empty folder"; fi
    if [ "$kind" = tar ]; then
        for tool in tar tr xargs; do command -v "$tool" >/dev/null || die "'$tool' is not in PATH, and $source/$stream is a tree"; done
    fi
done 3<"$work/chosen"

mkdir "$work/out" || die "unable to make a folder"
while IFS=$tab read -r source stream kind storage base <&3; do
    mkdir -p "$work/out/$source" || die "unable to make a folder"
    [ "$storage" = full ] || base_stream "$base" "$source" "$stream"
    case $storage in delta) from=$work/base ;; *) from= ;; esac
    slices "$bundle" "$work/segments" "$source" "$stream" "$work/stream" "$from"
    if [ "$kind" = tar ]; then
        if [ "$storage" = incremental ]; then
            extract "$work/base" "$work/out/$source"
            delete_listed "$work/stream" "$work/out/$source"
        fi
        extract "$work/stream" "$work/out/$source"
        rm -f "$work/out/$source/.salvor-deleted"
    else
        [ "$storage" != incremental ] || die "$source/$stream is an incremental, but no tree"
        mv "$work/stream" "$work/out/$source/$stream" || die "unable to rename"
    fi
    rm -f "$work/stream" "$work/base" "$work/base-table"
done 3<"$work/chosen"

# Everything is proven: only now it gets its place.
last=
while IFS=$tab read -r source stream kind storage base <&3; do
    if [ -n "$wanted_stream" ] && [ "$kind" = raw ]; then
        mkdir -p "$here/$source" || die "unable to make './$source'"
        mv "$work/out/$source/$stream" "$here/$source/$stream" || die "unable to rename"
        say "wrote ./$source/$stream"
    elif [ "$source" != "$last" ]; then
        mv "$work/out/$source" "$here/$source" || die "unable to rename"
        say "wrote ./$source"
    fi
    last=$source
done 3<"$work/chosen"
say "done"
