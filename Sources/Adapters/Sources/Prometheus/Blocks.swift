// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// The blocks of a storage folder, as their `meta.json` files describe them. Calls block.
struct Blocks: Sendable {
    struct Block: Sendable, Equatable {
        /// The block's ULID, which is its folder's name.
        var name: String
        var samples: Int64
        var series: Int64
        /// Milliseconds since 1970.
        var from: Int64
        var to: Int64
    }

    var blocks: [Block]

    private struct Meta: Decodable {
        struct Stats: Decodable {
            var numSamples: Int64?
            var numSeries: Int64?
        }

        var ulid: String
        var minTime: Int64
        var maxTime: Int64
        var stats: Stats?
    }

    /// - Throws: `Failure(.sourceFailed)` for a block without a readable description.
    init(in folder: String) throws {
        let names: [String]
        do { names = try FileManager.default.contentsOfDirectory(atPath: folder).sorted() } catch {
            throw Failure(.sourceFailed, "unable to list '\(folder)': \(error.localizedDescription)")
        }
        blocks = try names.filter(Self.isName).map { name in
            guard let data = FileManager.default.contents(atPath: "\(folder)/\(name)/meta.json") else {
                throw Failure(.sourceFailed, "the block '\(folder)/\(name)' has no readable 'meta.json'")
            }
            do {
                let meta = try JSONDecoder().decode(Meta.self, from: data)
                guard meta.ulid == name else {
                    throw Failure(.sourceFailed, "the block '\(folder)/\(name)' calls itself '\(meta.ulid)'")
                }
                return Block(
                    name: name, samples: meta.stats?.numSamples ?? 0, series: meta.stats?.numSeries ?? 0,
                    from: meta.minTime, to: meta.maxTime)
            } catch is DecodingError {
                throw Failure(.sourceFailed, "the 'meta.json' of block '\(folder)/\(name)' is damaged")
            }
        }
    }

    /// Whether a folder's name is a ULID (https://github.com/ulid/spec).
    static func isName(_ name: String) -> Bool {
        name.utf8.count == 26 && name.utf8.allSatisfy { ($0 >= 48 && $0 <= 57) || ($0 >= 65 && $0 <= 90) }
    }

    var samples: Int64 { blocks.reduce(0) { $0 + $1.samples } }
    var from: Int64? { blocks.map(\.from).min() }
    var to: Int64? { blocks.map(\.to).max() }

    var facts: Facts {
        var facts = Facts(["blocks": .count(Int64(blocks.count)), "samples": .count(samples)])
        for block in blocks {
            facts["block \(block.name) samples"] = .count(block.samples)
            facts["block \(block.name) series"] = .count(block.series)
            facts["block \(block.name) milliseconds"] = .text("\(block.from) to \(block.to)")
        }
        return facts
    }
}
