// SPDX-License-Identifier: Apache-2.0

/// The recovery instructions every repository carries.
enum RecoveryTexts {
    /// By object key.
    static var all: [(key: String, text: String)] {
        [("RECOVER.md", recoverInstructions), ("recover.sh", recoverScript)]
    }
}
