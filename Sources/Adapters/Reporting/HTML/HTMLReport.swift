// SPDX-License-Identifier: Apache-2.0
public import Domain
import Mustache
public import Operations

/// One page about all plans, complete in itself: to mail, to archive, to read on a telephone when the host is gone. No
/// scripts, and nothing is fetched from anywhere.
public enum HTMLReport {
    /// - Parameters:
    ///   - host: whose backups they are.
    ///   - version: of this program.
    public static func render(_ reports: [PlanReport], host: String, version: String, at now: Timestamp) throws
        -> String
    {
        MustacheContentTypes.register(PageContent(), named: PageContent.name)
        let template: MustacheTemplate
        do {
            template = try MustacheTemplate(string: String(decoding: PackageResources.report_mustache, as: UTF8.self))
        } catch {
            throw Failure(.internalError, "the page's template cannot be read: \(error)")
        }
        let page = Page(
            host: host, at: TimeFormat.both(now), version: version,
            plans: reports.enumerated().map { PlanSection($1, number: $0, at: now) })
        return template.render(page)
    }

    private struct Page {
        var host: String
        var at: String
        var version: String
        var plans: [PlanSection]
    }
}
