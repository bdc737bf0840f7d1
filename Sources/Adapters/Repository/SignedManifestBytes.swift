// SPDX-License-Identifier: Apache-2.0
import ByteStreams
public import Domain

extension FormatRepository {
    public func signedManifest(_ id: BundleID) async throws -> (manifest: [UInt8], signature: [UInt8]) {
        let signed = try await manifest(id)
        let bytes = try await store.get(BundleLayout.key(id, BundleLayout.manifest))
        guard SHA256Digest.of(bytes) == signed.sha256 else {
            throw Failure(.integrity, "the manifest of \(id) changed while it was read")
        }
        return (bytes, try await store.get(BundleLayout.key(id, BundleLayout.signature)))
    }
}
