// SPDX-License-Identifier: Apache-2.0
import CGpgme

/// One gpgme context, used on one thread.
final class GpgmeContext {
    let pointer: gpgme_ctx_t

    /// - Parameter home: the GnuPG folder; nil: `GNUPGHOME`, else `~/.gnupg`.
    init(home: String?) throws {
        _ = try EncryptionLibrary.version()
        var context: gpgme_ctx_t?
        try EncryptionLibrary.check("gpgme_new", gpgme_new(&context))
        guard let context else { throw EncryptionError.library(call: "gpgme_new", reason: "no context") }
        pointer = context
        try EncryptionLibrary.check(
            "gpgme_set_protocol", gpgme_set_protocol(context, GPGME_PROTOCOL_OpenPGP))
        if let home {
            try EncryptionLibrary.check(
                "gpgme_ctx_set_engine_info",
                gpgme_ctx_set_engine_info(context, GPGME_PROTOCOL_OpenPGP, nil, home))
        }
        gpgme_set_offline(context, 1)
    }

    deinit { gpgme_release(pointer) }

    /// The keys a listing gives that `start` began.
    func keys(_ call: String, _ start: gpgme_error_t) throws -> [PublicKey] {
        try EncryptionLibrary.check(call, start)
        defer { gpgme_op_keylist_end(pointer) }
        var keys: [PublicKey] = []
        while true {
            var key: gpgme_key_t?
            let error = gpgme_op_keylist_next(pointer, &key)
            if gpgme_err_code(error) == GPG_ERR_EOF { return keys }
            try EncryptionLibrary.check("gpgme_op_keylist_next", error)
            guard let key else { return keys }
            defer { gpgme_key_unref(key) }
            if let key = PublicKey(key) { keys.append(key) }
        }
    }
}

/// Bytes that gpgme reads or writes.
final class GpgmeData {
    private var pointer: gpgme_data_t?

    /// An empty one, to be written by gpgme.
    init() throws {
        try EncryptionLibrary.check("gpgme_data_new", gpgme_data_new(&pointer))
    }

    /// A copy of `bytes`.
    init(_ bytes: [UInt8]) throws {
        let error = bytes.withUnsafeBytes { buffer in
            gpgme_data_new_from_mem(&pointer, buffer.bindMemory(to: CChar.self).baseAddress, buffer.count, 1)
        }
        try EncryptionLibrary.check("gpgme_data_new_from_mem", error)
    }

    deinit { gpgme_data_release(pointer) }

    var handle: gpgme_data_t? { pointer }

    /// What was written, once.
    func takeBytes() -> [UInt8] {
        var count = 0
        let data = pointer
        pointer = nil
        guard let memory = gpgme_data_release_and_get_mem(data, &count) else { return [] }
        defer { gpgme_free(memory) }
        return Array(UnsafeRawBufferPointer(start: memory, count: count))
    }
}
