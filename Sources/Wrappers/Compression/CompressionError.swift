// SPDX-License-Identifier: Apache-2.0

/// What can go wrong while compressing, decompressing, or keeping base copies.
public enum CompressionError: Error, Sendable, Equatable {
    /// libzstd refused a call for a reason of its own.
    case library(call: String, reason: String)
    /// The bytes end before the frame does.
    case truncated
    /// There are bytes behind the end of the frame.
    case trailingBytes
    /// The bytes are no zstd frame, or a damaged one.
    case damaged(String)
    /// The frame says it holds another number of bytes than the caller knows it must.
    case wrongSize(expected: UInt64, stated: UInt64)
    /// The frame says it holds more bytes than the caller allows.
    case tooLarge(limit: UInt64, stated: UInt64)
    /// A base copy, or the fingerprints of one, cannot be used.
    case baseCopyDamaged(path: String, reason: String)
    /// A file operation on a base copy failed.
    case file(path: String, call: String, reason: String)
}

extension CompressionError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .library(let call, let reason): "zstd failed in \(call): \(reason)"
        case .truncated: "a zstd frame is truncated"
        case .trailingBytes: "there are bytes behind a zstd frame"
        case .damaged(let reason): "a zstd frame is damaged: \(reason)"
        case .wrongSize(let expected, let stated):
            "a zstd frame holds \(stated) bytes instead of \(expected)"
        case .tooLarge(let limit, let stated): "a zstd frame holds \(stated) bytes, more than the \(limit) allowed"
        case .baseCopyDamaged(let path, let reason): "the base copy '\(path)' is damaged: \(reason)"
        case .file(let path, let call, let reason): "unable to \(call) '\(path)': \(reason)"
        }
    }
}
