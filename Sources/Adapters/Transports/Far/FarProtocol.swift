// SPDX-License-Identifier: Apache-2.0
import Foundation

/// What Salvor and a POSIX shell on the far side say to each other around a program
/// (docs/decisions/0012-how-far-programs-are-run.md).
///
/// The far command is always `sh -c` with the same few words, which read one line and run it. That line is a script that
/// reads the program's arguments and variables, a line each, says that it begins, runs the program with the rest of
/// standard input, and says on standard output, after the program's last byte, with which status it ended. So nothing
/// that varies is in any command line, no shell interprets an argument, and an output that was cut off anywhere lacks its
/// last line.
struct FarProtocol: Sendable {
    /// Told apart from everything else by 64 random bits. Programs have it in their environment, so that they are found
    /// when they must be ended.
    let mark: String

    init() {
        mark = String(UInt64.random(in: .min ... .max), radix: 16).leftPadded(to: 16)
    }

    /// What the far shell is started with.
    static let shell = ["sh", "-c", "IFS= read -r salvor && eval \"$salvor\""]
    /// The same as one word for a login shell, quoted for all of them.
    static let shellWords = "sh -c 'IFS= read -r salvor && eval \"$salvor\"'"

    /// The first words on standard output; a word and a newline follow.
    var beginning: [UInt8] { Array("salvor-begin-\(mark) ".utf8) }

    /// The last bytes on standard output, less three digits and a newline. They begin with a byte (a record separator)
    /// that nobody ends an answer with, so that only what may be the end is held back, and never an answer.
    var ending: [UInt8] { [Self.separator] + Array("salvor-end-\(mark) ".utf8) }
    static let separator: UInt8 = 0x1e

    /// How many bytes the last words have.
    var endingLength: Int { ending.count + 4 }

    /// What goes to the far shell's standard input before the program's own.
    func opening(_ name: String, _ arguments: [String], _ environment: [String: String]) -> [UInt8] {
        var lines = [script]
        for (key, value) in environment.sorted(by: { $0.key < $1.key }) {
            lines.append(Self.line("e", "\(key)=\(value)"))
        }
        for word in [name] + arguments { lines.append(Self.line("a", word)) }
        lines.append(".")
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    /// A line that ends whatever has the mark in its environment: TERM, and KILL for what is there five seconds later.
    func ending(afterSeconds seconds: Int = 5) -> [UInt8] {
        let look = """
            salvor_found() { salvor_p=; for salvor_d in $(grep -ls \(mark) /proc/[0-9]*/environ 2>/dev/null); do \
            salvor_d=${salvor_d#/proc/}; salvor_p="$salvor_p ${salvor_d%/*}"; done; [ -n "$salvor_p" ]; }
            """
        let end = """
            salvor_t=0; while salvor_found; do if [ $salvor_t -ge \(seconds) ]; then kill -KILL $salvor_p; \
            else kill -TERM $salvor_p; fi 2>/dev/null; [ $salvor_t -gt \(seconds + 3) ] && exit 1; \
            sleep 0.1 2>/dev/null; salvor_found || exit 0; sleep 1; salvor_t=$((salvor_t + 1)); done; exit 0
            """
        return Array("\(look); \(end)\n".utf8)
    }

    /// 125: the connection ended before all words were there.
    private var script: String {
        """
        set --; while :; do IFS= read -r salvor_l || exit 125; salvor_v=${salvor_l#?}; \
        case $salvor_l in [AE]*) salvor_v=$(printf %b. "$salvor_v"); salvor_v=${salvor_v%.};; esac; \
        case $salvor_l in [aA]*) set -- "$@" "$salvor_v";; [eE]*) export "$salvor_v";; .) break;; *) exit 125;; esac; \
        done; unset salvor salvor_l salvor_v; \
        if ! command -v "$1" >/dev/null 2>&1; then echo "salvor-begin-\(mark) missing"; exit 127; fi; \
        echo "salvor-begin-\(mark) started"; export SALVOR_RUN=\(mark); "$@"; salvor_s=$?; \
        printf '\\036salvor-end-\(mark) %03d\\n' $salvor_s; exit $salvor_s
        """
    }

    /// A word on a line of its own: as it is when it is plain, with `\0ooo` for other bytes under a capital letter.
    private static func line(_ kind: String, _ word: String) -> String {
        if word.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return kind + word }
        var text = kind.uppercased()
        for byte in word.utf8 {
            if byte >= 0x20, byte < 0x7f, byte != UInt8(ascii: "\\") {
                text.unicodeScalars.append(UnicodeScalar(byte))
            } else {
                text += "\\0" + String(byte, radix: 8).leftPadded(to: 3)
            }
        }
        return text
    }
}

extension String {
    fileprivate func leftPadded(to count: Int) -> String {
        String(repeating: "0", count: max(0, count - utf8.count)) + self
    }
}
