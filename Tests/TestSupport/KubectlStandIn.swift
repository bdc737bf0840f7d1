// SPDX-License-Identifier: Apache-2.0
public import Domain
import Foundation
import Transports

/// A strict `kubectl` whose pods are folders of this host: it knows the options that Salvor uses and refuses all others,
/// answers as kubectl 1.20 to 1.37 do, and misbehaves when told to. What runs "in a pod" runs on this host.
///
/// Sources of its behaviour: kubectl's `exec`, `get`, `port-forward` (kubernetes.io/docs/reference/kubectl) and what the
/// real one printed against a real API server; kubernetes/kubernetes#60140 for streams that are lost with status 0.
public final class KubectlStandIn: Sendable {
    public let folder: TemporaryDirectory

    public init() throws {
        folder = try TemporaryDirectory("kubectl")
        try folder.write("kubectl", Self.script)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: folder("kubectl"))
        try FileManager.default.createDirectory(atPath: folder("pods"), withIntermediateDirectories: false)
    }

    /// Variables that put it in the place of the real one.
    public var environment: [String: String] {
        [
            "PATH": "\(folder.path):" + (ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"),
            "KUBECTL_STANDIN": folder.path,
        ]
    }

    /// Adds a pod, or replaces it.
    public func pod(
        _ name: String, namespace: String = "prod", labels: [String: String] = [:], containers: [String] = ["main"],
        phase: String = "Running", terminating: Bool = false
    ) throws {
        let value: [String: Any] = [
            "namespace": namespace, "name": name, "labels": labels, "containers": containers, "phase": phase,
            "terminating": terminating,
        ]
        try JSONSerialization.data(withJSONObject: value).write(
            to: URL(fileURLWithPath: folder("pods/\(namespace)-\(name)")))
    }

    /// What happens to the next exec's output: `lose:N` ends it after N bytes with status 0, `die:N` kills the pod's
    /// process then, `late:N` ends it after N bytes with the connection's error; `forbid` and `unauthorized` refuse
    /// everything, `forbid-use` all but looking at pods, `down` is an API server that does not answer, `noshell` a container without `sh`.
    public func misbehave(_ how: String) throws { try folder.write("misbehave", how) }

    /// Behaves again.
    public func behave() throws { try FileManager.default.removeItem(atPath: folder("misbehave")) }

    /// The command lines so far.
    public var calls: [String] {
        let text = FileManager.default.contents(atPath: folder("calls")).map { String(decoding: $0, as: UTF8.self) }
        return (text ?? "").split(separator: "\n").map(String.init)
    }

    /// The transport through it.
    public func transport(_ settings: KubernetesSettings) -> any Transport {
        TransportFactory.make(.kubernetes(settings), environment: environment)
    }

    private static let script = #"""
        #!/usr/bin/python3
        import json, os, select, signal, socket, subprocess, sys, threading
        home = os.environ["KUBECTL_STANDIN"]
        with open(home + "/calls", "a") as f: f.write(" ".join(sys.argv[1:]) + "\n")
        try: mood = open(home + "/misbehave").read().strip()
        except OSError: mood = ""
        def die(text, status=1):
            sys.stdout.flush(); print(text, file=sys.stderr); sys.exit(status)
        values = {"--kubeconfig", "--context", "--namespace", "--container", "--output", "--request-timeout", "--selector", "--address"}
        flags = {"--stdin"}
        given, words, rest = {}, [], None
        arguments = sys.argv[1:]
        while arguments:
            word = arguments.pop(0)
            if word == "--": rest = arguments; break
            if word in values: given[word] = arguments.pop(0)
            elif word in flags: given[word] = True
            elif word.startswith("-"): die("error: unknown flag: " + word)
            else: words.append(word)
        if mood == "down": die("The connection to the server 127.0.0.1:6443 was refused - did you specify the right host or port?")
        if mood == "unauthorized": die("error: You must be logged in to the server (Unauthorized)")
        if "--kubeconfig" in given and not os.path.exists(given["--kubeconfig"]):
            die("error: stat %s: no such file or directory" % given["--kubeconfig"])
        if given.get("--context") not in (None, "prod"): die('error: context "%s" does not exist' % given["--context"])
        namespace = given.get("--namespace", "default")
        pods = [json.load(open(home + "/pods/" + n)) for n in sorted(os.listdir(home + "/pods"))]
        pods = [p for p in pods if p["namespace"] == namespace]
        def forbid(what):
            if mood == "forbid": die('Error from server (Forbidden): %s is forbidden: User "viewer" cannot %s in API group "" in the namespace "%s"' % (*what, namespace))
        def forbid_use(pod, what, before):
            # Without "(Forbidden)", as 1.37 says it of a server of 1.20.
            if mood == "forbid-use": die('error: %sunable to upgrade connection: pods "%s" is forbidden: User "viewer" cannot create resource "pods/%s" in API group "" in the namespace "%s"' % (before, pod, what, namespace))
        def show(p):
            meta = {"name": p["name"], "namespace": namespace, "labels": p["labels"]}
            if p["terminating"]: meta["deletionTimestamp"] = "2026-11-21T00:00:00Z"
            return {"kind": "Pod", "metadata": meta, "spec": {"containers": [{"name": c} for c in p["containers"]]}, "status": {"phase": p["phase"]}}
        def find(name):
            for p in pods:
                if p["name"] == name: return p
            die('Error from server (NotFound): pods "%s" not found' % name)
        command = words.pop(0) if words else die("kubectl controls the Kubernetes cluster manager.")
        if command == "get":
            if words.pop(0) != "pods" or given.get("--output") != "json": die("error: the stand-in knows 'get pods --output json' only")
            forbid(("pods", 'list resource "pods"'))
            if words: print(json.dumps(show(find(words[0]))))
            else:
                wanted = dict(part.split("=", 1) for part in given["--selector"].split(","))
                print(json.dumps({"kind": "List", "items": [show(p) for p in pods if all(p["labels"].get(k) == v for k, v in wanted.items())]}))
        elif command == "exec":
            if not words or rest is None or not rest: die("error: you must specify at least one command for the container")
            pod = find(words[0])
            forbid_use(words[0], "exec", "")
            if pod["phase"] in ("Succeeded", "Failed"): die("error: cannot exec into a container in a completed pod; current phase is " + pod["phase"])
            if given.get("--container", pod["containers"][0]) not in pod["containers"]: die("Error from server (BadRequest): container %s is not valid for pod %s" % (given["--container"], pod["name"]))
            if mood == "noshell": die('error: Internal error occurred: error executing command in container: exec: "sh": executable file not found in $PATH: unknown')
            if not given.get("--stdin"): die("error: the stand-in expects --stdin")
            kind, _, count = mood.partition(":")
            limit = int(count) if kind in ("lose", "die", "late") else None
            environment = {k: v for k, v in os.environ.items() if k != "KUBECTL_STANDIN"}
            child = subprocess.Popen(rest, stdin=0, stdout=subprocess.PIPE, env=environment, start_new_session=True)
            def end(*_):
                # The connection ends; what runs in the pod does not notice.
                os._exit(130)
            signal.signal(signal.SIGTERM, end)
            done = 0
            while True:
                data = os.read(child.stdout.fileno(), 65536)
                if not data: break
                if limit is not None and done + len(data) >= limit:
                    data = data[:limit - done]
                    os.write(1, data) if data else None
                    if kind == "lose": os._exit(0)
                    if kind == "late": die("error: unexpected EOF reading trailer")
                    os.killpg(child.pid, signal.SIGKILL); child.wait()
                    die("command terminated with exit code 137", 137)
                done += len(data)
                view = memoryview(data)
                while view: view = view[os.write(1, view):]
            status = child.wait()
            if status < 0: status = 128 - status
            if status: die("command terminated with exit code %d" % status, status)
        elif command == "port-forward":
            pod = find(words[0].removeprefix("pod/"))
            forbid_use(pod["name"], "portforward", "error upgrading connection: ")
            if pod["phase"] != "Running": die("error: unable to forward port because pod is not running. Current status=" + pod["phase"])
            local, _, remote = words[1].partition(":")
            listener = socket.socket(); listener.bind((given.get("--address", "localhost"), int(local or 0))); listener.listen(16)
            print("Forwarding from 127.0.0.1:%d -> %s" % (listener.getsockname()[1], remote), flush=True)
            def copy(a, b):
                try:
                    while data := a.recv(65536): b.sendall(data)
                except OSError: pass
                try: b.shutdown(socket.SHUT_WR)
                except OSError: pass
            while True:
                near, _ = listener.accept()
                print("Handling connection for %d" % listener.getsockname()[1], flush=True)
                try: far = socket.create_connection(("127.0.0.1", int(remote)))
                except OSError as e:
                    print("E1121 an error occurred forwarding: %s" % e, file=sys.stderr); near.close(); continue
                for pair in ((near, far), (far, near)): threading.Thread(target=copy, args=pair, daemon=True).start()
        else: die('error: unknown command "%s" for "kubectl"' % command)
        """#
}
