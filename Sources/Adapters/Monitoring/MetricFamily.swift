// SPDX-License-Identifier: Apache-2.0

/// All samples of one metric. Everything Salvor tells is a gauge: what is, not what was counted since a process began.
public struct MetricFamily: Sendable, Equatable {
    /// By Prometheus's conventions: a prefix, and base units at the end (`_seconds`, `_bytes`, `_info`).
    public var name: String
    /// One sentence.
    public var help: String
    public var samples: [Sample]

    /// One value.
    public struct Sample: Sendable, Equatable {
        /// In the order in which they are written.
        public var labels: [Label]
        public var value: Double
    }

    /// What a sample is about.
    public struct Label: Sendable, Equatable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    public init(_ name: String, _ help: String) {
        self.name = name
        self.help = help
        samples = []
    }

    /// Adds a sample; without a value, none.
    public mutating func add(_ value: Double?, _ labels: [Label]) {
        guard let value else { return }
        samples.append(Sample(labels: labels, value: value))
    }
}
