// SPDX-License-Identifier: Apache-2.0

/// What an adapter counted at capture, by name, to be counted again after a restore: rows per table, keys per database,
/// files and bytes. Names are free text in a fixed style, such as `app/public.users rows`.
public struct Facts: Sendable, Equatable, Codable {
    /// One counted or observed value.
    public enum Value: Sendable, Hashable, Codable, CustomStringConvertible {
        case count(Int64)
        case text(String)

        public init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let value = try? container.decode(Int64.self) {  // fails for text, which is the other case
                self = .count(value)
            } else {
                self = .text(try container.decode(String.self))
            }
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .count(let value): try container.encode(value)
            case .text(let value): try container.encode(value)
            }
        }

        public var description: String {
            switch self {
            case .count(let value): String(value)
            case .text(let value): value
            }
        }
    }

    /// The values by name.
    public var values: [String: Value]

    public init(_ values: [String: Value] = [:]) {
        self.values = values
    }

    public init(from decoder: any Decoder) throws {
        values = try decoder.singleValueContainer().decode([String: Value].self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(values)
    }

    public subscript(name: String) -> Value? {
        get { values[name] }
        set { values[name] = newValue }
    }

    /// Every fact of `self` (recorded) beside the one of `found`, in order of name; facts found only in `found` are listed
    /// too, as unexpected.
    public func compared(with found: Facts) -> [FactComparison] {
        Set(values.keys).union(found.values.keys).sorted().map {
            FactComparison(name: $0, recorded: values[$0], found: found.values[$0])
        }
    }
}

/// One fact as recorded at capture and as found after a restore.
public struct FactComparison: Sendable, Equatable, Codable {
    public var name: String
    /// nil: not recorded at capture.
    public var recorded: Facts.Value?
    /// nil: not there after the restore.
    public var found: Facts.Value?

    public init(name: String, recorded: Facts.Value?, found: Facts.Value?) {
        self.name = name
        self.recorded = recorded
        self.found = found
    }

    /// Whether both are there and equal.
    public var isEqual: Bool { recorded != nil && recorded == found }
}
