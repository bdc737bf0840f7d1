// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem

/// Puts chosen files of one root into a live far tree, one atomic rename each, and takes them out again.
struct FarMerge: Sendable {
    let host: FarHost
    /// The live root.
    let path: String

    /// Why members cannot be put in, for people; only looks.
    func conflicts(_ members: [MergeList.Member]) async throws -> [String] {
        let found = try await run(FarMergeScripts.each, FarMergeScripts.conflicts, [path], members)
        return found.split(separator: 0).map { record in
            let name = "'\(path)/\(PathText.display(record.dropFirst()))'"
            switch record.first {
            case UInt8(ascii: "d"): return "\(name) is a directory now"
            case UInt8(ascii: "n"): return "\(name) is no directory now"
            default: return "a part of \(name) is a link, mounted, or no directory now"
            }
        }
    }

    /// Puts the members in, unless one of them is in conflict with what is there.
    ///
    /// - Throws: `Failure(.restoreBlocked)` before anything is touched, `Failure(.restoreFailed)` for what goes wrong then.
    func promote(_ place: FarPlace, _ part: RestoreState.Root, _ members: [MergeList.Member]) async throws {
        let conflicts = try await conflicts(members)
        if let first = conflicts.first {
            let more = conflicts.count > 1 ? " (and \(conflicts.count - 1) more)" : ""
            throw Failure(
                .restoreBlocked, first + more, hint: "Move it away, or restore the whole of '\(path)'.")
        }
        _ = try await run(FarMergeScripts.eachDurably, FarMergeScripts.promote, arguments(place, part), members)
    }

    /// Puts what was there before back; the restored files are in the stage afterwards.
    func rollBack(_ place: FarPlace, _ part: RestoreState.Root, _ members: [MergeList.Member]) async throws {
        _ = try await run(FarMergeScripts.eachDurably, FarMergeScripts.rollBack, arguments(place, part), members)
    }

    private func arguments(_ place: FarPlace, _ part: RestoreState.Root) -> [String] {
        [path, place.stage, place.before, part.staged.map { String($0) } ?? "none"]
    }

    private func run(
        _ each: String, _ script: String, _ arguments: [String], _ members: [MergeList.Member]
    ) async throws -> [UInt8] {
        var input: [UInt8] = []
        for member in members {
            input.append(UInt8(ascii: member.isDirectory ? "d" : "f"))
            input += member.path
            input.append(0)
        }
        let (bytes, exit) = try await host.transport.outputAndExit(
            of: FarHost.script(each, [script] + arguments), input: input)
        guard exit.isSuccess else {
            // What the script said counts, not that xargs noticed.
            let words = exit.standardError.split(separator: "\n").last { !$0.hasPrefix("xargs: ") }.map(String.init)
            let text = words ?? "\(exit.status)"
            throw Failure(
                text.contains("No space left on device") ? .localSpace : .restoreFailed,
                "\(host.transport.description): \(text)")
        }
        return bytes
    }
}
