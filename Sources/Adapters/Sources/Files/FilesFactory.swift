// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for files and directories, of this host or beside what a transport reaches.
public struct FilesFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "files" }

    public var isData: Bool { false }

    public var drilling: DrillQuestions { .command }

    public var settingsSchema: JSONValue { FilesSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        let settings = try FilesSettings(environment.source.settings)
        guard environment.transport.reachesLocalFiles else {
            return FarFilesAdapter(settings, environment.transport)
        }
        return FilesAdapter(settings)
    }
}
