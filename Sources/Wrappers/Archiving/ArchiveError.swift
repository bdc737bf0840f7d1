// SPDX-License-Identifier: Apache-2.0
import CArchive
import FileSystem

/// Why an archive could not be written, read or extracted.
public enum ArchiveError: Error, Sendable, CustomStringConvertible {
    /// libarchive refused: which call, in its own words.
    case library(call: String, message: String)
    /// The archive is cut short or not what it claims to be.
    case damaged(String)
    /// Members that could not be extracted safely. Everything else was extracted.
    case refused([RefusedMember])

    public var description: String {
        switch self {
        case .library(let call, let message): "\(call): \(message)"
        case .damaged(let what): what
        case .refused(let members):
            "\(members.count) members refused: "
                + members.prefix(3).map(\.description).joined(separator: "; ") + (members.count > 3 ? "; …" : "")
        }
    }

    /// What libarchive says of its last call.
    static func library(_ call: String, _ archive: OpaquePointer) -> ArchiveError {
        let message = archive_error_string(archive).map { String(cString: $0) } ?? "no reason given"
        return .library(call: call, message: message)
    }
}

/// One member that was not extracted, and why.
public struct RefusedMember: Sendable, Hashable, CustomStringConvertible {
    /// Raw bytes of the name.
    public var path: [UInt8]
    /// Lower case, no full stop.
    public var reason: String

    public init(path: [UInt8], reason: String) {
        self.path = path
        self.reason = reason
    }

    public var description: String { "'\(PathText.display(path))' (\(reason))" }
}

/// libarchive's answers, looked at in one place.
struct ArchiveStatus {
    /// Warnings that were not expected, at most a hundred.
    private(set) var warnings: [String] = []

    /// Takes the return value of `call`: 0 passes, a warning is kept, everything else throws.
    ///
    /// - Parameter expectedWarning: part of a message that is no news.
    mutating func check(
        _ code: Int32, _ call: String, _ archive: OpaquePointer, expectedWarning: String? = nil
    ) throws {
        switch code {
        case ARCHIVE_OK: return
        case ARCHIVE_WARN:
            let message = archive_error_string(archive).map { String(cString: $0) } ?? ""
            if let expectedWarning, message.contains(expectedWarning) { return }
            if warnings.count < 100 { warnings.append("\(call): \(message)") }
        default: throw ArchiveError.library(call, archive)
        }
    }
}
