// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import XMLCoder

/// One page of a listing, checked (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html).
struct ListReply: Sendable {
    /// Whole keys, with the repository's prefix, and sizes, in the server's order.
    var objects: [StoredObject]
    /// Whole common prefixes, ending in a slash.
    var prefixes: [String]
    /// Where the next page begins; nil: this is the last one.
    var next: String?

    /// Throws when the document is not a listing, not whole, or contradicts itself. `what` is for messages.
    init(_ body: [UInt8], what: String) throws {
        let document: Document
        do {
            document = try XMLDecoder.capitalized.decode(Document.self, from: Data(body))
        } catch {
            throw Failure(.storageFailed, "the store's listing of \(what) cannot be read")
        }
        // XMLCoder ignores the root's name: without this an empty or foreign document would be an empty listing.
        guard Self.rootElement(of: body) == "ListBucketResult", let isTruncated = document.isTruncated else {
            throw Failure(.storageFailed, "the store's reply for \(what) is not a listing")
        }
        let isEncoded = document.encodingType?.lowercased() == "url"
        objects = try (document.contents ?? []).map {
            StoredObject(key: try Self.decode($0.key, isEncoded, what), size: $0.size)
        }
        prefixes = try (document.commonPrefixes ?? []).map { try Self.decode($0.prefix, isEncoded, what) }
        next = isTruncated ? document.nextContinuationToken : nil
        if isTruncated, (next ?? "").isEmpty {
            throw Failure(.storageFailed, "the store's listing of \(what) goes on but does not say where")
        }
        if let count = document.keyCount, count != objects.count + prefixes.count {
            throw Failure(
                .storageFailed,
                "the store's listing of \(what) has \(objects.count + prefixes.count) entries instead of \(count)")
        }
    }

    /// The name of the first element, without a namespace prefix.
    static func rootElement(of body: [UInt8]) -> String? {
        var rest = body[...]
        while let start = rest.firstIndex(of: UInt8(ascii: "<")) {
            rest = rest[(start + 1)...]
            guard let first = rest.first else { return nil }
            if first == UInt8(ascii: "?") || first == UInt8(ascii: "!") { continue }
            let ends: Set<UInt8> = [UInt8(ascii: ">"), UInt8(ascii: " "), UInt8(ascii: "/"), 10, 13, 9]
            let name = String(decoding: rest.prefix { !ends.contains($0) }, as: UTF8.self)
            return name.split(separator: ":").last.map(String.init)
        }
        return nil
    }

    private static func decode(_ text: String, _ isEncoded: Bool, _ what: String) throws -> String {
        guard isEncoded else { return text }
        // Some servers encode blanks the way forms do.
        let spaced = text.replacingOccurrences(of: "+", with: " ")
        guard let decoded = spaced.removingPercentEncoding else {
            throw Failure(.storageFailed, "the store's listing of \(what) has a key that cannot be decoded")
        }
        return decoded
    }

    private struct Document: Decodable {
        var isTruncated: Bool?
        var nextContinuationToken: String?
        var encodingType: String?
        var keyCount: Int?
        var contents: [Object]?
        var commonPrefixes: [Folder]?
    }

    private struct Object: Decodable {
        var key: String
        var size: UInt64
    }

    private struct Folder: Decodable {
        var prefix: String
    }
}
