// SPDX-License-Identifier: Apache-2.0
import Domain

/// Where one root of a far restore goes, and the names that are made for it.
struct FarPlace: Sendable {
    static let stagePrefix = ".salvor-stage-"
    static let beforePrefix = ".salvor-before-"

    let root: RootPlace
    /// The root is a mount point: what is in it is exchanged.
    let isInside: Bool
    /// Chosen members go into the live tree one by one.
    let merges: Bool
    private let restoreID: String

    init(path: String, restoreID: String, isInside: Bool, merges: Bool) {
        root = RootPlace(path: path, restoreID: restoreID)
        self.isInside = isInside
        self.merges = merges
        self.restoreID = restoreID
    }

    init(_ part: RestoreState.Root, _ restoreID: String) {
        self.init(path: part.path, restoreID: restoreID, isInside: part.isInside, merges: part.merges)
    }

    /// The directory in which everything happens.
    var folder: String { isInside ? root.path : root.parent }

    /// The restored copy until it is promoted.
    var stage: String { merges ? stageFolder + "/tree" : stageFolder }

    /// What is removed with it: the same, or the folder that keeps others away from chosen files.
    var stageFolder: String { Self.join(folder, isInside ? Self.stagePrefix + restoreID : root.stage) }

    /// What was there, once it is promoted.
    var before: String { Self.join(folder, isInside ? Self.beforePrefix + restoreID : root.before) }

    private static func join(_ folder: String, _ name: String) -> String {
        folder == "/" ? "/\(name)" : "\(folder)/\(name)"
    }
}

/// The far shell's part of a restore. Every script may be killed at any moment and run again: it looks first what is done.
enum FarScripts {
    /// The inode behind a name; empty: there is none.
    private static let inode = """
        inode() { salvor_i=$(ls -di -- "$1" 2>/dev/null) || salvor_i=; salvor_i=${salvor_i#"${salvor_i%%[0-9]*}"}; \
        echo "${salvor_i%%[!0-9]*}"; }
        die() { echo "$*" >&2; exit 9; }

        """

    /// path: what is there; one word a line: kind or `none`, inode, `mounted` or not, free bytes, `writable` or not, and
    /// the directories above it that are missing, outermost first.
    static let survey =
        inode + """
            t=$1; p=${t%/*}; [ -n "$p" ] || p=/
            if [ -L "$t" ]; then echo link; elif [ -d "$t" ]; then echo directory; elif [ -e "$t" ]; then echo file
            else echo none; fi
            echo "$(inode "$t")"
            m=free; while read -r a b c d e f; do [ "$e" != "$t" ] || m=mounted; done </proc/self/mountinfo; echo "$m"
            q=$p; missing=; while [ ! -d "$q" ]; do missing="$q
            $missing"; q=${q%/*}; [ -n "$q" ] || q=/; done
            set -- $(stat -f -c '%a %S' -- "$q"); echo $(($1 * $2))
            if [ -w "$q" ]; then echo writable; else echo fixed; fi
            printf %s "$missing"
            """

    /// stage, folder: makes the folder and what is above it; removes what an earlier attempt left.
    static let prepare = """
        mkdir -p -- "$2" && rm -rf -- "$1"
        """

    /// stage: the inode of the staged copy; on disk when this ends.
    static let staged =
        inode + """
            i=$(inode "$1"); [ -n "$i" ] || die "nothing was extracted to '$1'"; sync; echo "$i"
            """

    /// live, stage, before, inode of the staged copy: exchanges the root and keeps the old one. `mv --exchange`, of
    /// coreutils 9.5, does it in one step; otherwise there is a moment without either.
    static let promote =
        inode + """
            n=$1; s=$2; b=$3; i=$4
            if [ "$(inode "$n")" != "$i" ]; then
                [ "$(inode "$s")" = "$i" ] || die "the staged copy '$s' is gone: roll back and restore again"
                if [ -n "$(inode "$n")" ]; then
                    [ -z "$(inode "$b")" ] || die "'$b' is there already"
                    if ! mv --exchange --no-copy -T -- "$s" "$n" 2>/dev/null; then
                        mv -T -- "$n" "$b" || exit 9
                        mv -T -- "$s" "$n" || { mv -T -- "$b" "$n"; die "unable to put the copy to '$n'"; }
                    fi
                else
                    mv -T -- "$s" "$n" || exit 9
                fi
            fi
            [ "$(inode "$n")" = "$i" ] || die "'$n' is not the restored copy"
            if [ -n "$(inode "$s")" ] && [ -z "$(inode "$b")" ]; then mv -T -- "$s" "$b" || exit 9; fi
            sync
            """

    /// The same four, back; the restored copy has the stage's name afterwards.
    static let rollBack =
        inode + """
            n=$1; s=$2; b=$3; i=$4; o=$5
            if [ "$(inode "$n")" = "$i" ]; then
                if [ -z "$(inode "$b")" ] && [ -n "$(inode "$s")" ]; then mv -T -- "$s" "$b" || exit 9; fi
                [ -z "$o" ] || [ -n "$(inode "$b")" ] || die "the old state of '$n' is gone: restore the safety bundle"
                mv -T -- "$n" "$s" || exit 9
            fi
            if [ -n "$(inode "$b")" ] && [ -z "$(inode "$n")" ]; then mv -T -- "$b" "$n" || exit 9; fi
            sync
            """

    /// live, stage, before: exchanges what is in a mount point. While `done` is in the folder of the old state, all of
    /// the old state is in it, and what else is in the root is new.
    static let promoteInside = """
        die() { echo "$*" >&2; exit 9; }
        n=$1; s=$2; b=$3
        cd -- "$n" || exit 9
        [ -d "$s" ] || [ -e "$b/done" ] || die "the staged copy '$s' is gone: roll back and restore again"
        if [ ! -e "$b/done" ]; then
            mkdir -p -- "$b/old" && chmod 700 -- "$b" && chown --reference=. -- "$b/old" \
                && chmod --reference=. -- "$b/old" && touch --reference=. -- "$b/old" || exit 9
            for f in * .[!.]* ..?*; do
                [ -e "$f" ] || [ -L "$f" ] || continue
                case $n/$f in "$s" | "$b") continue ;; esac
                mv -T -- "$f" "$b/old/$f" || exit 9
            done
            sync; : >"$b/done" || exit 9; sync
        fi
        if [ -d "$s" ]; then
            (cd -- "$s" || exit 9
            for f in * .[!.]* ..?*; do
                [ -e "$f" ] || [ -L "$f" ] || continue
                mv -T -- "$f" "$n/$f" || exit 9
            done) || exit 9
            chown --reference="$s" . && chmod --reference="$s" . && touch --reference="$s" . || exit 9
            rmdir -- "$s" || exit 9
        fi
        sync
        """

    /// The same three, back.
    static let rollBackInside = """
        n=$1; s=$2; b=$3
        cd -- "$n" || exit 9
        if [ -e "$b/done" ]; then
            mkdir -p -- "$s" || exit 9
            for f in * .[!.]* ..?*; do
                [ -e "$f" ] || [ -L "$f" ] || continue
                case $n/$f in "$s" | "$b") continue ;; esac
                mv -T -- "$f" "$s/$f" || exit 9
            done
            sync; rm -f -- "$b/done" || exit 9
        fi
        if [ -d "$b/old" ]; then
            (cd -- "$b/old" || exit 9
            for f in * .[!.]* ..?*; do
                [ -e "$f" ] || [ -L "$f" ] || continue
                mv -T -- "$f" "$n/$f" || exit 9
            done) || exit 9
            chown --reference="$b/old" . && chmod --reference="$b/old" . && touch --reference="$b/old" . || exit 9
        fi
        sync; rm -rf -- "$b"
        """

    /// path, directories made above it, innermost first: removes the path, and of the others those that are empty.
    static let remove = """
        rm -rf -- "$1" || exit 9; shift
        for d do rmdir -- "$d" 2>/dev/null || :; done
        """
}
