// SPDX-License-Identifier: Apache-2.0
import Glibc
import Subprocess
import SystemPackage

/// Children that outlive a killed Salvor: most see their pipes close, but one that waits for a lock or for a long query
/// neither reads nor writes. The kernel tells them: PR_SET_PDEATHSIG (prctl(2)), which only the child can ask for, so
/// util-linux's `setpriv` does it and becomes the program.
///
/// The signal comes at the end of the *thread* that started the child. swift-subprocess starts all of them on one thread
/// that lives as long as the process; tests hold on to that.
enum Orphans {
    private static let setpriv = "/usr/bin/setpriv"

    /// Old or reduced versions of setpriv do not know the option: children are then started as they are.
    private static let isAble = Task {
        // Not there is not able.
        let trial = try? await Subprocess.run(
            .path(FilePath(setpriv)), arguments: ["--pdeathsig", "TERM", "true"], input: .none, output: .discarded,
            error: .discarded)
        return trial?.terminationStatus.isSuccess == true
    }

    /// Finds out what setpriv is able to, for whoever needs it later.
    static func prepare() { _ = isAble }

    /// The command line that runs `name` so that it does not outlive this process; the same one when that is not possible,
    /// or when `name` is not found, which starting it then tells.
    static func ending(
        _ name: String, _ arguments: [String], environment: [String: String]
    ) async -> (name: String, arguments: [String]) {
        guard let path = ProgramPath.of(name, in: environment["PATH"]), await isAble.value else {
            return (name, arguments)
        }
        return (setpriv, ["--pdeathsig", "TERM", "--", path] + arguments)
    }
}
