// SPDX-License-Identifier: Apache-2.0
public import Domain

/// Makes adapters for files and directories of this host.
public struct FilesFactory: SourceAdapterFactory {
    public init() {}

    public var kind: String { "files" }

    public var isData: Bool { false }

    public var settingsSchema: JSONValue { FilesSettings.schema }

    public func make(_ environment: AdapterEnvironment) throws -> any SourceAdapter {
        guard environment.transport.reachesLocalFiles else {
            throw Failure(
                .configuration,
                "\(environment.source.mark): source '\(environment.source.name)' of kind files cannot use the transport "
                    + "'\(environment.transport.description)'", hint: "Run salvor on the host that has the files.")
        }
        return FilesAdapter(try FilesSettings(environment.source.settings))
    }
}
