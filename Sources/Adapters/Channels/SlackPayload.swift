// SPDX-License-Identifier: Apache-2.0
import Domain
import Notifications

/// A message for a Slack incoming webhook (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks).
struct SlackPayload: Encodable {
    /// What notifications on a phone show.
    let text: String
    let blocks: [Block]

    struct Block: Encodable {
        var type: String
        var text: Text
    }

    struct Text: Encodable {
        var type: String
        var text: String
    }

    private static let longestHeader = 150
    private static let longestSection = 3000

    init(_ message: NotificationMessage) {
        text = Self.escaped(message.title)
        // A header is plain text, in which nothing has a meaning.
        var blocks = [
            Block(type: "header", text: Text(type: "plain_text", text: Self.cut(message.title, Self.longestHeader)))
        ]
        var lines = message.what.map { "• \(Self.escaped($0))" }
        if message.isTest { lines.insert("*This is a test. Nothing happened.*", at: 0) }
        if message.action != .note { lines.append("*Since:* \(message.since)") }
        if let good = message.lastGood {
            lines.append("*Last good:* `\(good.bundle)`, \(Length.text(Double(good.ageSeconds))) old")
        } else if message.event != .success {
            lines.append("*Last good:* none known to this host")
        }
        blocks.append(Self.section(lines.joined(separator: "\n")))
        let commands = message.next.compactMap { step in step.command.map { "\($0)   # \(step.purpose)" } }
        let advice = message.next.filter { $0.command == nil }.map { Self.escaped($0.purpose) }
        if !advice.isEmpty { blocks.append(Self.section(advice.joined(separator: "\n"))) }
        if !commands.isEmpty { blocks.append(Self.code(commands)) }
        if let log = message.log { blocks.append(Self.code(log)) }
        self.blocks = blocks
    }

    private static func section(_ text: String) -> Block {
        Block(type: "section", text: Text(type: "mrkdwn", text: cut(text, longestSection)))
    }

    private static func code(_ lines: [String]) -> Block {
        // Three backticks inside would end the block.
        let text = escaped(lines.joined(separator: "\n")).replacing("```", with: "'''")
        return section("```\(cut(text, longestSection - 6))```")
    }

    /// Slack takes these three for marks of its own, such as `<!channel>`.
    private static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }

    private static func cut(_ text: String, _ limit: Int) -> String {
        text.count > limit ? "\(text.prefix(limit - 1))…" : text
    }
}
