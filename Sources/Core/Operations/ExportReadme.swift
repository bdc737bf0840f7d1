// SPDX-License-Identifier: Apache-2.0
import Domain

/// The first member of an export: for somebody who has the file, a key, and perhaps never heard of Salvor.
enum ExportReadme {
    static func text(_ export: ExportDescription, _ manifest: Manifest, _ sources: [Manifest.Source]) -> String {
        let left = manifest.sources.map(\.name).filter { name in !sources.contains { $0.name == name } }
        var lines = [
            "EXPORT OF A BACKUP",
            "",
            "bundle      \(export.bundle)",
            "taken       \(manifest.started) on host \(oneLine(manifest.host)) by \(oneLine(manifest.tool)), plan \(manifest.plan)",
            "exported    \(export.exported) on host \(oneLine(export.host)) by \(oneLine(export.tool))",
            "repository  \(export.repository)",
            "signed by   \(manifest.signer) (the bundle's manifest, in original/)",
        ]
        if manifest.state == .partial { lines.append("state       PARTIAL: a source had failed when it was taken") }
        if !left.isEmpty { lines.append("left out    \(left.joined(separator: ", "))") }
        lines += [
            "",
            "The file is a tar in a zstd stream in an OpenPGP message, encrypted and signed. Everything in it is whole: what",
            "the repository kept as differences has been put together.",
            "",
            "OPEN IT BY HAND, where the private key is, in an empty folder of mode 0700:",
            "",
            "    gpg --decrypt FILE.tar.zst.gpg | zstd -d | tar -x",
            "",
            "gpg must say \"Good signature\" by a key you know, and no part may report an error: until then believe nothing.",
            "Then, in the folder that came out:",
            "",
            "    sha256sum --check --quiet SHA256SUMS",
            "    gpg --verify original/manifest.json.sig original/manifest.json",
            "",
            "OR with Salvor, into the repository of one of your plans: salvor import FILE.tar.zst.gpg --plan PLAN",
            "",
            "WHAT IS IN IT",
            "",
            "    SHA256SUMS             digest of every other file",
            "    salvor-export.json     description: lengths, digests, what was counted when the copy was taken",
            "    original/              the bundle's manifest as it was signed",
            "    lists/SOURCE/          members of every tar: kind, mode, owner, size, times, digest, path",
            "    sources/SOURCE/        the data",
            "",
        ]
        for source in sources {
            lines.append("sources/\(source.name)  (\(source.adapter), \(oneLine(source.engine)))")
            for stream in export.streams where stream.source == source.name {
                lines.append("    \(stream.file)  \(stream.length) bytes")
                lines += restoring(source.adapter, stream).map { "        \($0)" }
            }
            lines.append("")
        }
        return lines.joined(separator: "\n")
    }

    /// How to put one stream back without Salvor.
    private static func restoring(_ adapter: String, _ stream: ExportDescription.Stream) -> [String] {
        if stream.kind == .tar {
            return [
                "A tree of files; paths begin at the root of the host it is from. As root, to keep owners:",
                "mkdir tree && tar -x -p --xattrs --xattrs-include='*' --acls -f \(stream.file) -C tree",
            ]
        }
        switch (adapter, stream.name) {
        case ("postgresql", "globals"):
            return ["Roles, tablespaces and grants: psql -X -d postgres -f \(stream.file)"]
        case ("postgresql", _):
            return [
                "A database: createdb NEWDB && pg_restore --exit-on-error -d NEWDB \(stream.file)"
            ]
        case ("redis", "rdb"):
            return [
                "All keys: stop the server, put it in the place of its 'dir'/'dbfilename', start it with 'appendonly no'"
            ]
        case ("redis", _): return ["To compare with the server's configuration, and to take from"]
        case ("sqlite", _):
            return [
                "The database file itself; look at it first: sqlite3 \(stream.file) 'PRAGMA integrity_check'",
                "Put it in place while nothing has the old one open, and remove the old -wal and -shm beside it.",
            ]
        default: return ["A file"]
        }
    }

    /// Names of hosts and engines come from elsewhere; a line stays a line.
    private static func oneLine(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : $0 }))
    }
}
