// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import Encryption

@Suite("Key listings")
struct KeyListingTests {
    @Test("records of several keys, with escapes, cards, stubs and what has ended")
    func records() throws {
        let first = String(repeating: "A1", count: 20)
        let second = String(repeating: "B2", count: 20)
        let part = { (letter: String) in String(repeating: letter, count: 40) }
        let listing = """
            tru::1:1795322303:0:3:1:5
            sec:u:255:22:5893C805049C8E83:1795322303:1895322303::u:::scESC:::#::ed25519:::0:
            fpr:::::::::\(first):
            grp:::::::::BD641F2AFE14E50E32937737828E74B7B440E09C:
            uid:u::::1795322303::FDB8::Op\\x3as \u{00fc} <ops@example.com>::::::::::0:
            uid:u::::1795322303::FDB8::second::::::::::0:
            ssb:u:255:18:7E9472CBC235C43B:1795322303::::::e:::D2760001240102010006012345670000::cv25519::
            fpr:::::::::\(part("C")):
            ssb:e:255:22:7E9472CBC235C43B:1795322303:1795322304:::::s:::+::ed25519::
            fpr:::::::::\(part("D")):
            pub:r:255:22:5893C805049C8E83:1795322303:::u:::scESCD:::::ed25519:::0:
            fpr:::::::::\(second):
            uat:u::::1795322303::FDB8::1 2345::::::::::0:
            sub:i:255:18:7E9472CBC235C43B:1795322303::::::e:::::cv25519::
            fpr:::::::::\(part("E")):
            """
        let keys = KeyListing.parse(Array(listing.utf8))
        try #require(keys.count == 2)
        #expect(keys[0].fingerprint == first)
        #expect(keys[0].userID == "Op:s \u{00fc} <ops@example.com>")
        #expect(keys[0].parts.map(\.fingerprint) == [first, part("C"), part("D")])
        #expect(keys[0].parts.map(\.hasSecret) == [false, true, true])
        #expect(keys[0].parts.map(\.expires) == [1_895_322_303, nil, 1_795_322_304])
        #expect(keys[0].parts.map(\.isExpired) == [false, false, true])
        #expect(keys[0].parts.map(\.canEncrypt) == [false, true, false])
        #expect(keys[0].parts.map(\.canSign) == [true, false, true])
        #expect(keys[0].canDecrypt)
        #expect(!keys[0].isDisabled && !keys[0].isRevoked && !keys[0].isExpired && !keys[0].isInvalid)
        #expect(keys[1].fingerprint == second)
        #expect(keys[1].userID.isEmpty)
        #expect(keys[1].isRevoked && keys[1].isDisabled)
        #expect(keys[1].parts.map(\.hasSecret) == [false, false])
        #expect(keys[1].parts.map(\.isInvalid) == [false, true])
        #expect(!keys[1].canDecrypt)
    }

    @Test(
        "what is no listing gives no key",
        arguments: ["", "\n", "pub", "fpr:::::::::AA:", "pub:u\nuid:u:", "sub:u:\nfpr::"])
    func nothing(_ listing: String) {
        #expect(KeyListing.parse(Array(listing.utf8)).isEmpty)
    }
}
