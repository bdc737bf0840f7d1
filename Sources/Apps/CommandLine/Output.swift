// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Reporting

/// What commands print: results on standard output (text or one JSON envelope), everything else on standard error.
enum Output {
    /// Prints a result: `text` for people, or the envelope with `--json`.
    ///
    /// - Parameter failure: what is wrong all the same, for the envelope; the text says it itself.
    static func result(
        _ value: some Encodable, command: String, isJSON: Bool, failure: Failure? = nil, text: () -> String
    ) throws {
        if isJSON {
            let envelope = JSONEnvelope(command: command, at: SystemClock().now(), result: value, failure: failure)
            print(try envelope.text(), terminator: "")
        } else {
            let text = text()
            if !text.isEmpty { print(text) }
        }
        fflush(nil)
    }

    /// Says what failed, why, and what to type next, and ends the process with the failure's status.
    static func fail(_ failure: Failure, command: String, isJSON: Bool) -> Never {
        if isJSON {
            let envelope = JSONEnvelope<NoResult>(
                command: command, at: SystemClock().now(), result: nil, failure: failure)
            // Should even the envelope fail, the text below still says everything.
            if let text = try? envelope.text() { print(text, terminator: "") }
        }
        if !isJSON {
            var message = "salvor: \(PrintableText.of(failure.summary))\n"
            if let hint = failure.hint { message += "  \(hint)\n" }
            FileHandle.standardError.write(Data(message.utf8))
        }
        fflush(nil)
        Foundation.exit(failure.code.exitStatus.rawValue)
    }

    /// A line for people beside the result.
    static func note(_ text: String) {
        FileHandle.standardError.write(Data("\(text)\n".utf8))
    }
}

extension Output {
    /// Prints a bare JSON document.
    static func document(_ value: JSONValue) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        print(String(decoding: try encoder.encode(value), as: UTF8.self))
    }
}
