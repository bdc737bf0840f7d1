// SPDX-License-Identifier: Apache-2.0
import Glibc
import Synchronization

/// Arrays of segments' size. Fresh memory is dear (a page fault for every 4 KiB, and on a virtual machine often a visit to
/// its host), and every segment passes through four such arrays, so those no longer needed are used again.
public enum LargeArrays {
    /// Room for a slice of 32 MiB as a zstd frame or an OpenPGP message, which may be a little longer than their contents.
    /// More than the 32 MiB up to which glibc may keep an allocation in its heaps, of which every thread has one
    /// (mallopt(3), M_MMAP_THRESHOLD), so that what is freed goes back to the system.
    private static let standardCapacity = 33 << 20
    /// Below this many bytes an ordinary array does as well.
    private static let smallest = 1 << 20
    /// Free ones that are kept: each is 33 MiB in use by nobody.
    private static let kept = 4
    private static let page = 4096
    private static let hugePage = 2 << 20
    private static let free = Mutex<[[UInt8]]>([])

    /// An empty array with room for at least `capacity` bytes. Memory that is never written costs nothing, so a generous
    /// capacity is no waste.
    public static func take(_ capacity: Int) -> [UInt8] {
        guard capacity >= smallest else {
            var array: [UInt8] = []
            array.reserveCapacity(capacity)
            return array
        }
        let known = free.withLock { free in
            free.lastIndex { $0.capacity >= capacity }.map { free.remove(at: $0) }
        }
        if let known { return known }
        return [UInt8](unsafeUninitializedCapacity: max(capacity, standardCapacity)) { buffer, _ in
            adviseHugePages(UnsafeMutableRawBufferPointer(buffer))
        }
    }

    /// Gives back an array that nobody looks at any more and leaves an empty one. Whoever still does keeps its bytes, and
    /// the memory with them: arrays are values.
    public static func giveBack(_ array: inout [UInt8]) {
        var own: [UInt8] = []
        swap(&own, &array)
        guard own.capacity >= standardCapacity, own.capacity < standardCapacity / 2 * 3 else { return }
        let place = own.withUnsafeBytes { $0.baseAddress }
        own.removeAll(keepingCapacity: true)
        // Of an array that somebody else holds, too, this made another one, of fresh memory: no use keeping that.
        guard own.withUnsafeBytes({ $0.baseAddress }) == place else { return }
        free.withLock { free in
            if free.count < kept { free.append(own) }
        }
    }

    /// Gives back an array that nobody else holds.
    public static func giveBack(_ array: consuming [UInt8]) {
        var own = array
        array = []
        giveBack(&own)
    }

    /// The same bytes in as little memory, when they fill only a small part of a large array, which is then free for others.
    public static func fitted(_ array: consuming [UInt8]) -> [UInt8] {
        guard array.capacity >= standardCapacity, array.count < standardCapacity / 8 else { return array }
        let small = array.withUnsafeBytes { [UInt8]($0) }
        giveBack(&array)
        return small
    }

    /// Gives the system back what an array has of memory behind its bytes: one that once held a whole slice and now holds
    /// a small frame would keep all of it for as long as that is under way.
    public static func trim(_ array: [UInt8]) {
        guard array.capacity >= standardCapacity else { return }
        let (count, capacity) = (array.count, array.capacity)
        array.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            // Whole huge pages: one that is split stays so.
            let start = (base + count).alignedUp(toMultipleOf: hugePage)
            let end = (base + capacity).alignedDown(toMultipleOf: page)
            guard start < end else { return }
            // Nobody reads what lies behind an array's bytes; the next to write there gets zeros. MADV_DONTNEED is 4.
            _ = madvise(UnsafeMutableRawPointer(mutating: start), end - start, 4)
        }
    }

    /// An array of the bytes that `fill` writes.
    ///
    /// - Parameter fill: gets room for at least `capacity` bytes and sets the count of those it wrote.
    public static func make(
        _ capacity: Int, _ fill: (UnsafeMutableBufferPointer<UInt8>, inout Int) throws -> Void
    ) rethrows -> [UInt8] {
        var array = take(capacity)
        try array.append(addingCapacity: capacity) { (span: inout OutputSpan<UInt8>) in
            try span.withUnsafeMutableBufferPointer { try fill($0, &$1) }
        }
        return array
    }

    private static func adviseHugePages(_ memory: UnsafeMutableRawBufferPointer) {
        guard let base = memory.baseAddress else { return }
        let start = base.alignedUp(toMultipleOf: page)
        // madvise(2): 14 is MADV_HUGEPAGE, a macro that Swift does not see. A refusal only costs speed.
        _ = madvise(start, (memory.count - (start - base)) / page * page, 14)
    }
}
