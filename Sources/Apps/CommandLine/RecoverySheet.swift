// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation

/// The page that is printed and kept with a recipient's secret key. Its indented lines are commands, to be typed in as they
/// stand, in the folder with the key's file.
struct RecoverySheet {
    let plan: Plan
    /// Fingerprint of the recipient's key.
    let recipient: String
    /// Fingerprint of the key that signs the bundles; nil: not known yet.
    let signer: String?
    /// The folder the secret key was written to.
    let folder: String
    /// Name of the secret key's file in there.
    let secretFile: String
    let host: String
    let made: Timestamp

    /// A copy of a bucket has to be fetched before its scripts can be run.
    private static let copy = "repository"

    private var directory: String? { plan.repository.store.droppingPrefix("file://") }

    private var root: String { Self.quoted(directory ?? Self.copy) }

    var text: String {
        """
        SALVOR RECOVERY SHEET

        Print this page and keep it with the file '\(secretFile)', away from the machines it protects.
        Without that file nobody can read the backups, you included. Who has it can read them all.

        plan         \(plan.name)
        plan's file  \(plan.file): keep a copy of it, and of the secrets it names, with this page
        repository   \(plan.repository.store)
        recipient    \(recipient)
        signer       \(signer ?? "the fingerprint under 'signers' in the repository's salvor.json")
        secret key   \(folder)/\(secretFile): move it off this host now
        made on      \(host), \(made)

        Type the indented lines as they stand, in the folder with '\(secretFile)'.

        1. The keys, on any machine:\(fetching)
            export GNUPGHOME="$(mktemp -d)"
            gpg --import \(Self.quoted(secretFile))
            gpg --list-secret-keys \(recipient)
        \(importingSigner)

        2. With salvor. First what would happen, then the data into a folder of its own:
            salvor restore latest:\(plan.name) --config \(Self.quoted(plan.file)) --dry-run
            salvor restore latest:\(plan.name) --config \(Self.quoted(plan.file)) --to-directory recovered-by-salvor

           The same without --to-directory puts it in place of what is live; it stages, verifies and asks first.

        3. Or without salvor (needs sh, gpg, zstd, tar, awk, dd, sha256sum, tr, xargs). The newest bundle:
            manifest="$(ls -d \(root)/bundles/\(plan.name)/*/*/*/*/manifest.json | tail -n 1)"
            mkdir recovered-by-hand
            (cd recovered-by-hand && \(script))

           What else there is to know is in RECOVER.md, beside recover.sh.

        """
    }

    /// Run one folder further down.
    private var script: String {
        directory == nil
            ? "sh ../\(Self.copy)/recover.sh \"../${manifest%/manifest.json}\""
            : "sh \(root)/recover.sh \"${manifest%/manifest.json}\""
    }

    private var fetching: String {
        guard directory == nil else { return "" }
        let endpoint = plan.repository.s3.endpoint.map { " --endpoint-url \(Self.quoted($0))" } ?? ""
        return "\n    aws s3 sync\(endpoint) \(Self.quoted(plan.repository.store)) \(Self.copy)"
    }

    private var importingSigner: String {
        guard let signer else { return "    gpg --import \(root)/keys/*.gpg" }
        return "    gpg --import \(root)/keys/\(signer).gpg\n    gpg --list-keys \(signer)"
    }

    /// One word for a shell.
    private static func quoted(_ text: String) -> String {
        "'" + text.replacingOccurrences(of: "'", with: "'\\''") + "'"
    }
}
