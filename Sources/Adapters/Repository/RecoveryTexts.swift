// SPDX-License-Identifier: Apache-2.0

/// The recovery instructions every repository carries: `Resources/`, embedded in the program.
enum RecoveryTexts {
    /// By object key.
    static var all: [(key: String, text: String)] {
        [
            ("RECOVER.md", String(decoding: PackageResources.RECOVER_md, as: UTF8.self)),
            ("recover.sh", String(decoding: PackageResources.recover_sh, as: UTF8.self)),
        ]
    }
}
