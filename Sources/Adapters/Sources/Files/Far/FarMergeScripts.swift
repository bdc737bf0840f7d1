// SPDX-License-Identifier: Apache-2.0

/// The far shell's part of putting chosen files into a live tree, one by one; see `MergePromotion` for the same on this host.
/// A file that is in the stage is not promoted yet, one that is not there is. Every script may be killed at any moment and
/// run again.
///
/// Members come on standard input: `d` or `f` and the path below the root, each with a zero byte. Stage and kept files lie in
/// folders that only the far user may enter, and are reached through open descriptors: nobody can exchange them meanwhile.
/// Folders of the live tree are entered part by part, no link is followed, and what is mounted in it is left alone.
enum FarMergeScripts {
    /// script, arguments: runs the script for the members on standard input, in their order. Status 255 ends all of it.
    static let each = """
        body=$1; shift
        xargs -0 -r sh -c "$body" salvor "$@"
        """

    /// The same, and all of it on disk when it ends.
    static let eachDurably = each + " && sync"

    /// stage's folder: makes it anew.
    static let prepare = """
        rm -rf -- "$1" && mkdir -m 700 -- "$1"
        """

    private static let common = """
        set -f
        die() { echo "$*" >&2; exit 255; }
        there() { [ -e "$1" ] || [ -L "$1" ]; }
        same() { set -- $(stat -c %d:%i -- "$1" "$2" 2>/dev/null); [ $# = 2 ] && [ "$1" = "$2" ]; }
        l=$1; [ ! -L "$l" ] && [ -d "$l" ] && cd -P -- "$l" || die "'$l' is no directory now"
        L=$(pwd -P; echo .); L=${L%??}; D=$(stat -c %d .)
        M=; while read -r a1 a2 a3 a4 m a5; do
            case $m in *\\\\*) m=$(printf %b. "$m"); m=${m%.} ;; esac
            case $m in "$L"/*) M="$M
        $m" ;; esac
        done </proc/self/mountinfo
        at=/
        take() {
            k=${1%"${1#?}"}; p=${1#?}; n=./${p##*/}
            case /$p/ in *//* | */./* | */../*) die "'$p' is no plain name" ;; esac
        }
        # Enters the live folder of $p: 1 when there is none, 2 when it may not be entered.
        enter() {
            d=${p%/*}; [ "$d" != "$p" ] || d=
            [ "$d" != "$at" ] || return 0
            at=/; r=$d; cd -P -- "$L" || die "'$l' is gone"
            while [ -n "$r" ]; do
                c=${r%%/*}; case $r in */*) r=${r#*/} ;; *) r= ;; esac
                there "./$c" || return 1
                [ ! -L "./$c" ] && [ -d "./$c" ] && cd -P -- "./$c" || return 2
            done
            [ "$(pwd -P; echo .)" = "$L${d:+/$d}
        ." ] && [ "$(stat -c %d .)" = "$D" ] || return 2
            o=$IFS; IFS='
        '
            for m in $M; do case $L/$d/ in "$m"/*) IFS=$o; return 2 ;; esac; done; IFS=$o
            at=$d
        }
        """

    /// live: tells what is in the way: a letter and the path, each with a zero byte. `l`: a part of it is a link, no
    /// directory, or mounted; `d`: it is a directory now; `n`: it is none.
    static let conflicts =
        common + """

            shift
            for member do
                take "$member"; enter; e=$?
                [ $e != 1 ] || continue
                [ $e = 0 ] || { printf 'l%s\\0' "$p"; continue; }
                there "$n" || continue
                if [ -d "$n" ] && [ ! -L "$n" ]; then h=d; else h=f; fi
                [ $h = $k ] || if [ $h = d ]; then printf 'd%s\\0' "$p"; else printf 'n%s\\0' "$p"; fi
            done
            """

    /// live, stage, kept, inode of the stage
    private static let open =
        common + """

            [ -d "$2" ] || die "the staged copy '$2' is gone: what was there before is in '$3'"
            [ ! -L "$3" ] && { [ -d "$3" ] || mkdir -m 700 -- "$3"; } && [ -O "$3" ] || die "unable to make '$3'"
            exec 3<"$2" 4<"$3"; S=/proc/$$/fd/3; B=/proc/$$/fd/4
            [ "$(stat -L -c %i -- $S)" = "$4" ] || die "'$2' is not the staged copy"
            [ "$(stat -L -c %d -- $S)" = "$D" ] || die "'$l' is on another file system than '$2'"
            K=$3; shift 4
            folder() { case $1 in */*) mkdir -p -m 700 -- "$2/${1%/*}" || exit 255 ;; esac; }
            """

    /// live, stage, kept, inode of the stage: puts the members in.
    static let promote =
        open + """

            for member do
                take "$member"; x=$S/$p; y=$B/$p
                there "$x" || continue
                enter || die "a part of '$l/$p' is a link, mounted, or no directory now"
                if [ $k = d ]; then
                    if [ -d "$n" ] && [ ! -L "$n" ]; then continue; fi
                    ! there "$n" || die "'$l/$p' is no directory now"
                    mv -T -n -- "$x" "$n" || exit 255
                    ! there "$x" || die "unable to put '$l/$p' in its place"
                    continue
                fi
                if there "$n"; then
                    if [ -d "$n" ] && [ ! -L "$n" ]; then die "'$l/$p' is a directory now"; fi
                    # Put in, and then killed.
                    if same "$x" "$n"; then rm -f -- "$x" || exit 255; continue; fi
                    # Written anew since it was kept.
                    if there "$y" && ! same "$y" "$n"; then rm -f -- "$y" || exit 255; fi
                    if ! there "$y"; then
                        folder "$p" "$B"; ln -P -T -- "$n" "$y" || exit 255
                    fi
                    mv -f -T -- "$x" "$n" || exit 255
                else
                    ln -P -T -- "$x" "$n" && rm -f -- "$x" || exit 255
                fi
            done
            """

    /// The same four: takes the members out again and puts the kept files back.
    static let rollBack =
        open + """

            back() {
                there "$n" || return 0
                folder "$p" "$S"; mv -T -n -- "$n" "$x" || exit 255
                ! there "$n" || die "unable to take '$l/$p' out of its place"
            }
            for member do
                take "$member"; x=$S/$p; y=$B/$p
                if ! enter; then
                    ! there "$y" || die "the folder of '$l/$p' is gone; the old file is in '$K'"
                    continue
                fi
                if [ $k = d ]; then
                    there "$x" || { back; at=/; }
                    continue
                fi
                if ! there "$y"; then
                    if ! there "$x"; then back
                    elif there "$n" && same "$x" "$n"; then rm -f -- "$n" || exit 255; fi
                    continue
                fi
                if there "$x"; then
                    # Never replaced.
                    if there "$n" && ! same "$x" "$n"; then rm -f -- "$y" || exit 255; continue; fi
                elif there "$n"; then
                    # The restored file stays at hand until the old one is back.
                    folder "$p" "$S"; ln -P -T -- "$n" "$x" || exit 255
                fi
                mv -f -T -- "$y" "$n" || exit 255
                # Two names of one file: the rename did nothing.
                ! there "$y" || rm -f -- "$y" || exit 255
            done
            """
}
