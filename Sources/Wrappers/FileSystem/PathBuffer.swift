// SPDX-License-Identifier: Apache-2.0
import Glibc

/// One path that grows and shrinks part by part during a walk, without an allocation per file.
public final class PathBuffer {
    private var storage: UnsafeMutablePointer<UInt8>
    private var capacity = 4096
    /// Bytes of the path.
    public private(set) var count = 0

    public init() {
        storage = .allocate(capacity: capacity)
        storage[0] = 0
    }

    deinit {
        storage.deallocate()
    }

    /// The path, valid until the next change.
    public var bytes: UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(start: storage, count: count) }

    /// The path as a C string, valid until the next change.
    public var cString: UnsafePointer<CChar> { UnsafeRawPointer(storage).assumingMemoryBound(to: CChar.self) }

    /// Adds `name` as a further part and returns the count before, for `truncate`.
    public func append(_ name: UnsafeBufferPointer<UInt8>) -> Int {
        let before = count
        let needed = count + name.count + 2
        if needed > capacity {
            let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: needed * 2)
            larger.update(from: storage, count: count)
            storage.deallocate()
            storage = larger
            capacity = needed * 2
        }
        if count > 0 {
            storage[count] = UInt8(ascii: "/")
            count += 1
        }
        if let start = name.baseAddress { (storage + count).update(from: start, count: name.count) }
        count += name.count
        storage[count] = 0
        return before
    }

    /// Shortens the path to what it was before an `append`.
    public func truncate(to count: Int) {
        self.count = count
        storage[count] = 0
    }
}
