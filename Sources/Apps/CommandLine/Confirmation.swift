// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Glibc

/// Asks before anything is replaced or removed.
enum Confirmation {
    /// Returns when the operator agrees, or with `yes`.
    ///
    /// - Throws: `Failure` with status 4 when there is no terminal to ask on, or the answer is not `yes`.
    static func ask(_ question: String, yes: Bool) throws {
        guard !yes else { return }
        guard isatty(0) == 1, isatty(2) == 1 else {
            throw Failure(
                .preflightRefused, "this needs a confirmation and there is no terminal to ask on",
                hint: "Add --yes if you mean it; nothing was changed.")
        }
        FileHandle.standardError.write(Data("\(question) Type yes to go on: ".utf8))
        guard readLine() == "yes" else {
            throw Failure(.preflightRefused, "not confirmed", hint: "Nothing was changed.")
        }
    }
}
