// SPDX-License-Identifier: Apache-2.0
import Domain
import Kubernetes
import Testing

@Suite("Kubernetes: drills")
struct DrillTests {
    @Test("a drill is refused with why and what to do instead")
    func refused() throws {
        #expect(KubernetesFactory().drilling.isEmpty)
        let refusal = try #require(KubernetesFactory().drillRefusal)
        #expect(refusal.reason == "Salvor starts no cluster of its own")
        #expect(refusal.instead.contains("salvor restore --stage-only"))
    }
}
