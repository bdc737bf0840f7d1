// SPDX-License-Identifier: Apache-2.0
import ByteStreams
import Domain

/// Windows of a base that lies in the repository, whose decoded slices are kept while neighbours need them.
actor StoredWindows: BaseWindows {
    /// Four slices of 32 MiB: a window spans three at most, and the next one mostly the same.
    private static let kept = 4
    private let base: BundleStream
    private var decoded: [(index: Int, task: Task<[UInt8], any Error>)] = []

    init(base: BundleStream) {
        self.base = base
    }

    func bytes(of range: Range<UInt64>) async throws -> [UInt8] {
        guard range.upperBound <= base.table.rawBytes else {
            throw Failure(.integrity, "a delta of '\(base.table.source)/\(base.name)' refers beyond its base's end")
        }
        var bytes = LargeArrays.take(range.count)
        for (index, segment) in base.table.segments.enumerated() {
            let extent = segment.rawOffset..<(segment.rawOffset + segment.rawLength)
            let overlap = extent.clamped(to: range)
            guard !overlap.isEmpty else { continue }
            let raw = try await slice(index).value
            bytes += raw[Int(overlap.lowerBound - segment.rawOffset)..<Int(overlap.upperBound - segment.rawOffset)]
        }
        return bytes
    }

    private func slice(_ index: Int) -> Task<[UInt8], any Error> {
        if let known = decoded.first(where: { $0.index == index }) { return known.task }
        let task = Task { [base] in
            do {
                return try await base.raw(index)
            } catch let failure as Failure {
                throw Failure(
                    failure.code == .objectNotFound ? .baseMissing : failure.code,
                    "the base \(base.objects.bundle): \(failure.summary)", hint: failure.hint)
            }
        }
        decoded.append((index, task))
        if decoded.count > Self.kept { decoded.removeFirst() }
        return task
    }
}
