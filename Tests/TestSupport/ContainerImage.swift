// SPDX-License-Identifier: Apache-2.0
import Foundation
import Domain

/// Root file systems for containers, made of this host's own programs and the libraries that they need: nothing is
/// downloaded, and what runs in a container is what Debian has.
public enum ContainerImage: String, Sendable {
    /// A shell, GNU's small programs, `tar`, `find`, `sqlite3`.
    case base
    /// `base` and a PostgreSQL server with its clients.
    case postgresql
    /// `base` and a Redis server with its client.
    case redis
    /// `base`, this salvor, gpg and kubectl.
    case salvor

    /// Writes the image's tar.
    func write(to path: String) throws {
        var programs = """
            sh cat ls cp mv rm mkdir rmdir chmod chown touch ln sleep env id stat sha256sum head tail wc date sync sort
            dd true false seq tar find xargs grep sed df mktemp readlink sqlite3 setfattr getfattr yes mkfifo basename
            printf nohup uname od tr chgrp install awk
            """.split(whereSeparator: \.isWhitespace).map(String.init)
        var trees: [String] = []
        switch self {
        case .base: break
        case .postgresql:
            let folder = try Self.postgreSQL()
            let version = URL(fileURLWithPath: folder).lastPathComponent
            trees = [folder, "/usr/share/postgresql/\(version)", "/usr/share/zoneinfo/Etc"]
        case .redis: programs += ["redis-server", "redis-cli"]
        case .salvor:
            programs += ["gpg", "gpg-agent", "gpgconf", "salvor=\(SalvorProcess.path)"]
            programs.append("kubectl=\(try TestTool.find("kubectl", variable: "SALVOR_TEST_KUBECTL"))")
        }
        try ShortCommand.run("python3", ["-c", Self.script, path, trees.joined(separator: ":")] + programs)
    }

    /// Where the newest PostgreSQL of this host is.
    public static func postgreSQL() throws -> String {
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        let usable = versions.filter {
            FileManager.default.isExecutableFile(atPath: "/usr/lib/postgresql/\($0)/bin/initdb")
        }
        guard let newest = usable.max(by: { (Int($0) ?? 0) < (Int($1) ?? 0) }) else {
            throw Failure(
                .programMissing, "no PostgreSQL server is installed: run scripts/install-dependencies servers")
        }
        return "/usr/lib/postgresql/\(newest)"
    }

    private static let script = """
        import io, os, shutil, subprocess, sys, tarfile
        target, trees, programs = sys.argv[1], [t for t in sys.argv[2].split(":") if t], sys.argv[3:]
        files, folders = {}, set()
        def add(path, real=None):
            files.setdefault(path, os.path.realpath(real or path))
        def needs(path):
            text = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
            for line in text.splitlines():
                words = line.split()
                for word in words:
                    if word.startswith("/"):
                        add(word)
                        break
        for name in programs:
            name, _, given = name.partition("=")
            found = given or shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
            if not found:
                sys.exit(name + " is not installed: run scripts/install-test-containers")
            add("/usr/bin/" + name, found)
            needs(found)
        for tree in trees:
            for folder, _, names in os.walk(tree):
                for name in names:
                    path = os.path.join(folder, name)
                    # Just-in-time compilation would bring all of LLVM along.
                    if not os.path.exists(path) or "llvmjit" in name or "/bitcode/" in path: continue
                    add(path)
                    if "/bin/" in path or ".so" in name: needs(path)
        with tarfile.open(target, "w") as archive:
            def folder(name, mode=0o755):
                if name in folders: return
                folders.add(name)
                entry = tarfile.TarInfo(name); entry.type = tarfile.DIRTYPE; entry.mode = mode
                archive.addfile(entry)
            def text(name, content, mode=0o644):
                entry = tarfile.TarInfo(name); entry.size = len(content); entry.mode = mode
                archive.addfile(entry, io.BytesIO(content))
            for name in ["usr", "usr/bin", "usr/lib", "usr/sbin", "etc", "proc", "sys", "dev", "run", "root", "var", "srv"]:
                folder(name)
            folder("tmp", 0o1777)
            for link in ["bin", "sbin", "lib", "lib64"]:
                folder("usr/" + link)
                entry = tarfile.TarInfo(link); entry.type = tarfile.SYMTYPE; entry.linkname = "usr/" + link
                archive.addfile(entry)
            text("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\\n")
            text("etc/group", b"root:x:0:\\nnogroup:x:65534:\\n")
            text("etc/hosts", b"127.0.0.1 localhost\\n")
            written = set()
            for path, real in sorted(files.items()):
                name = path.lstrip("/")
                if name.split("/")[0] in ("bin", "sbin", "lib", "lib64"): name = "usr/" + name
                if name in written: continue
                written.add(name)
                parts = name.split("/")
                for count in range(1, len(parts)): folder("/".join(parts[:count]))
                entry = archive.gettarinfo(real, name)
                entry.type = tarfile.REGTYPE
                entry.size = os.stat(real).st_size
                entry.linkname = ""
                entry.uid = entry.gid = 0
                with open(real, "rb") as data: archive.addfile(entry, data)
        """
}
