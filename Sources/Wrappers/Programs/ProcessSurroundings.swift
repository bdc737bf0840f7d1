// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import SystemPackage

/// The network and the files that another process of this host sees, for one thread.
///
/// Both calls change the calling thread for good: call them only on a thread that ends afterwards, which is what
/// `Blocking.run` starts.
public enum ProcessSurroundings {
    /// Makes sockets of the calling thread belong to the network of process `pid` (setns(2)).
    ///
    /// - Throws: `Errno`; `.notPermitted` without CAP_SYS_ADMIN.
    public static func enterNetwork(of pid: Int32) throws {
        let file = open("/proc/\(pid)/ns/net", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw Errno(rawValue: errno) }
        defer { close(file) }
        guard salvor_setns(file, SALVOR_CLONE_NEWNET) == 0 else { throw Errno(rawValue: errno) }
    }

    /// Makes absolute paths of the calling thread begin at the root of process `pid` (unshare(2), chroot(2)).
    ///
    /// - Throws: `Errno`; `.notPermitted` without CAP_SYS_CHROOT.
    public static func enterRoot(of pid: Int32) throws {
        guard salvor_unshare(SALVOR_CLONE_FS) == 0, chroot("/proc/\(pid)/root") == 0, chdir("/") == 0 else {
            throw Errno(rawValue: errno)
        }
    }
}
