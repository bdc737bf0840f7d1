// SPDX-License-Identifier: Apache-2.0
import CGpgme
import Glibc

/// The gpgme this process runs with, and the `gpg` it uses.
public enum EncryptionLibrary {
    /// The least gpgme that can list keys from a file without importing them.
    public static let leastVersion = "1.14.0"

    // gpgme_check_version must run once, before anything else and not from two threads; `static let` sees to that.
    private static let loaded: String? = {
        // gpgme writes to pipes of its own children; a dead one must be an error, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        return gpgme_check_version(leastVersion).map { String(cString: $0) }
    }()

    /// Version of the loaded library, such as `1.18.0`.
    ///
    /// - Throws: `EncryptionError.library` when it is older than `leastVersion`.
    public static func version() throws -> String {
        guard let loaded else {
            throw EncryptionError.library(call: "gpgme_check_version", reason: "older than \(leastVersion)")
        }
        return loaded
    }

    /// Version of the `gpg` program that gpgme found, such as `2.2.40`; nil when there is none.
    ///
    /// - Throws: `EncryptionError.library`.
    public static func programVersion() throws -> String? {
        _ = try version()
        var info: gpgme_engine_info_t?
        try check("gpgme_get_engine_info", gpgme_get_engine_info(&info))
        while let engine = info {
            if engine.pointee.protocol == GPGME_PROTOCOL_OpenPGP {
                return engine.pointee.version.map { String(cString: $0) }
            }
            info = engine.pointee.next
        }
        return nil
    }

    /// The one place where gpgme's return values are judged.
    static func check(_ call: String, _ error: gpgme_error_t) throws(EncryptionError) {
        guard gpgme_err_code(error) == GPG_ERR_NO_ERROR else {
            throw .library(call: call, reason: reason(error))
        }
    }

    static func reason(_ error: gpgme_error_t) -> String {
        String(cString: gpgme_strerror(error))
    }
}
