// SPDX-License-Identifier: Apache-2.0
import Archiving
import Testing

@Suite("libarchive")
struct LibraryTests {
    @Test("the loaded library fits the one built against")
    func version() {
        #expect(ArchivingLibrary.isCompatible, "\(ArchivingLibrary.version) \(ArchivingLibrary.builtAgainst)")
        #expect(ArchivingLibrary.version.split(separator: ".").count == 3)
    }
}
