// SPDX-License-Identifier: Apache-2.0
import Domain
import FileSystem
import Glibc

extension FilesRestore {
    /// What the restore would do; only reads.
    func plan() throws -> SourceRestorePlan {
        var plan = SourceRestorePlan(
            target: "files at " + roots.map(\.path).joined(separator: ", "),
            origin: "files of bundle \(restore.bundle)")
        plan.bytesNeeded = selection.counts.bytes
        var free: [UInt64: UInt64] = [:]
        for root in roots { try add(root, to: &plan, free: &free) }
        plan.bytesFree = free.values.min()
        if free.count == 1, let available = free.values.first, available < selection.counts.bytes {
            plan.blockers.append("\(selection.counts.bytes) bytes are needed and \(available) are free")
        }
        if geteuid() != 0 {
            plan.warnings.append("not running as root: files will belong to the user who restores")
        }
        if selection.skippedDevices > 0 {
            plan.warnings.append("\(selection.skippedDevices) devices are not made (set 'devices: store')")
        }
        if !plan.replaces.isEmpty {
            plan.warnings.append("programs that hold files of the old tree open keep the old ones until they restart")
        }
        return plan
    }

    private func add(_ root: RestoreRoot, to plan: inout SourceRestorePlan, free: inout [UInt64: UInt64]) throws {
        guard !root.name.isEmpty else {
            plan.blockers.append(Self.rootOfAll.summary)
            return
        }
        let live = try FileStatus.find(Array(root.path.utf8))
        let merges = try merges(root)
        plan.steps.append(.init("stage", "extract to \(root.parent)/\(root.stage)"))
        plan.steps.append(.init("verify", "compare every file below \(root.parent)/\(root.stage) with the bundle"))
        plan.creates.append("\(root.parent)/\(root.stage)")
        if merges {
            plan.steps.append(
                .init(
                    "promote", "put the chosen files into \(root.path), the old ones to \(root.parent)/\(root.before)"))
            plan.replaces.append("chosen files in \(root.path)")
            try forEachMember(of: root) { path, kind in
                let place = Array(root.path.utf8) + (path.isEmpty ? [] : [UInt8(ascii: "/")] + path)
                guard let there = try FileStatus.find(place) else { return }
                if (there.kind == .directory) != (kind == .directory) {
                    plan.blockers.append(
                        "'\(PathText.display(place))' is \(there.kind == .directory ? "a directory" : "no directory") now"
                    )
                }
            }
        } else if let live {
            plan.steps.append(
                .init(
                    "promote", "exchange \(root.path) and the copy, keep the old one as \(root.parent)/\(root.before)",
                    command: "renameat2(RENAME_EXCHANGE)"))
            plan.replaces.append("\(live.kind == .directory ? "directory" : "file") \(root.path)")
        } else {
            plan.steps.append(
                .init("promote", "move the copy to \(root.path)", command: "renameat2(RENAME_NOREPLACE)"))
            plan.creates.append(root.path)
        }
        // The nearest directory that exists tells the file system.
        var above = root.parent
        while try FileStatus.find(Array(above.utf8)) == nil {
            above = above.lastIndex(of: "/").map { String(above[..<$0]) } ?? ""
            if above.isEmpty { above = "/" }
        }
        // Whatever the reason, nothing can be made there; staging would say the same.
        guard let folder = try? Descriptor.directory(Array(above.utf8), followingLinks: true) else {
            plan.blockers.append("'\(above)' is no directory that may be opened")
            return
        }
        var space = statvfs()
        guard fstatvfs(folder.raw, &space) == 0 else { throw SystemError("statvfs", path: above.utf8) }
        let device = try FileStatus.of(folder.raw, path: Array(above.utf8)).device
        free[device] = UInt64(space.f_bavail) * UInt64(space.f_frsize)
        if !merges, let live, live.kind == .directory, live.device != device {
            plan.blockers.append("'\(root.path)' is a mount point and cannot be exchanged")
        }
    }
}
