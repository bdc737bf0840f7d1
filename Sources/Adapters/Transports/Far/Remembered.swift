// SPDX-License-Identifier: Apache-2.0

/// What was asked once and is asked again only after it was forgotten.
actor Remembered<Value: Sendable> {
    private var value: Value?

    func value(_ ask: @Sendable () async throws -> Value) async throws -> Value {
        if let value { return value }
        let fresh = try await ask()
        value = fresh
        return fresh
    }

    func forget() { value = nil }
}
