// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import TestSupport

/// A program that answers as `kubectl` does, over objects in a file: what the API server adds, refuses and owns. Strict: a
/// call it does not know is an error. Its words are those of kubectl 1.32 and of the API's status messages.
struct KubectlDouble: Sendable {
    let folder: TemporaryDirectory

    /// - Parameter objects: as somebody applied them with `kubectl apply`, who owns their fields since.
    init(_ objects: [JSONValue], cluster: String = "c0ffee00-0000-4000-8000-000000000001") throws {
        folder = try TemporaryDirectory("kubectl")
        let script = try folder.write("kubectl", "#!/usr/bin/python3\n" + Self.script)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script)
        try folder.write("calls", "")
        try folder.write("cluster", cluster)
        try write("state.json", ["objects": [], "next": 100])
        let system: JSONValue = ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": "kube-system"]]
        try apply([system] + objects)
    }

    var program: String { folder("kubectl") }

    /// Applies objects as another manager than salvor.
    func apply(_ objects: [JSONValue], manager: String = "kubectl-client-side-apply") throws {
        try write("input.json", ["kind": "List", "apiVersion": "v1", "items": .array(objects)])
        try run(
            [
                "apply", "--server-side", "--field-manager=\(manager)", "--force-conflicts", "--output=json",
                "--filename=-",
            ],
            input: folder("input.json"))
    }

    /// Sets how it misbehaves: `forbidden: [secrets]`, `truncated: configmaps`, `page: secrets`, `fails-after: 1`,
    /// `unreachable: true`, `lists-only-in: shop`.
    func misbehave(_ how: JSONValue) throws { try write("misbehaviour.json", how) }

    /// The objects as the server has them, without what only it knows.
    func objects() throws -> [String: JSONValue] {
        let state = try JSONDecoder().decode(
            JSONValue.self, from: Data(contentsOf: URL(fileURLWithPath: folder("state.json"))))
        var all: [String: JSONValue] = [:]
        for object in state["objects"]?.array ?? [] {
            let metadata = object["metadata"]
            let name = [metadata?["namespace"]?.string, object["kind"]?.string, metadata?["name"]?.string]
            all[name.compactMap { $0 }.joined(separator: "/")] = object
        }
        return all
    }

    /// The arguments of every call so far.
    func calls() throws -> String { try String(contentsOfFile: folder("calls"), encoding: .utf8) }

    /// Changes an object behind everybody's back, as `kubectl edit` does.
    func edit(_ object: JSONValue) throws { try apply([object], manager: "kubectl-edit") }

    func delete(_ kind: String, _ name: String, namespace: String) throws {
        try run([
            "--namespace=\(namespace)", "delete", kind, name, "--ignore-not-found", "--wait=true", "--output=name",
        ])
    }

    private func write(_ name: String, _ value: JSONValue) throws {
        try JSONEncoder().encode(value).write(to: URL(fileURLWithPath: folder(name)))
    }

    private func run(_ arguments: [String], input: String? = nil) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardOutput = FileHandle.nullDevice
        process.standardInput =
            try input.map { try FileHandle(forReadingFrom: URL(fileURLWithPath: $0)) } ?? FileHandle.nullDevice
        try process.start()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(.programFailed, "the double refused \(arguments): \(process.terminationStatus)")
        }
    }

    /// Field ownership as in https://kubernetes.io/docs/reference/using-api/server-side-apply/: an applier owns the fields
    /// it sets; a different value in somebody else's field is a conflict; a field that its last owner no longer applies
    /// is removed. Lists count as one field (as those without a merge key do).
    private static let script = #"""
        import json, os, sys
        here = os.path.dirname(os.path.abspath(__file__))
        def load(name, default):
            try:
                with open(os.path.join(here, name)) as f: return json.load(f)
            except FileNotFoundError: return default
        state, bad = load("state.json", None), load("misbehaviour.json", {})
        with open(os.path.join(here, "calls"), "a") as f: f.write(json.dumps(sys.argv[1:]) + "\n")
        def save():
            with open(os.path.join(here, "state.json"), "w") as f: json.dump(state, f)
        def die(text, code=1):
            sys.stderr.write(text + "\n"); sys.exit(code)
        options, words, mark = {}, [], "\u001f"
        for word in sys.argv[1:]:
            if word.startswith("--"):
                name, _, value = word[2:].partition("="); options[name] = value
            elif word.startswith("-"): die("error: unknown shorthand flag in %s" % word)
            else: words.append(word)
        known = {"kubeconfig", "context", "namespace", "request-timeout", "output", "chunk-size", "selector", "server-side",
                 "field-manager", "force-conflicts", "dry-run", "filename", "ignore-not-found", "wait"}
        for name in options:
            if name not in known: die("error: unknown flag: --%s" % name)
        KINDS = {"configmaps": ("", "ConfigMap"), "secrets": ("", "Secret"), "services": ("", "Service"),
                 "serviceaccounts": ("", "ServiceAccount"), "namespaces": ("", "Namespace"), "pods": ("", "Pod"),
                 "persistentvolumeclaims": ("", "PersistentVolumeClaim"), "deployments": ("apps", "Deployment"),
                 "replicasets": ("apps", "ReplicaSet"), "jobs": ("batch", "Job"),
                 "rolebindings": ("rbac.authorization.k8s.io", "RoleBinding")}
        def resource(word):
            name, _, group = word.partition(".")
            for plural, (g, kind) in KINDS.items():
                if name in (plural, kind.lower()) and group in ("", g): return plural, g, kind
            die('error: the server doesn\'t have a resource type "%s"' % word)
        if bad.get("unreachable"):
            die("The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?")
        namespace = options.get("namespace", "default")
        def allowed(plural, verb):
            if plural in bad.get("forbidden", []) or ("write" in bad.get("forbidden", []) and verb == "patch"):
                die('Error from server (Forbidden): %s is forbidden: User "viewer" cannot %s resource "%s" in API group "" '
                    'in the namespace "%s"' % (plural, verb, plural, namespace))
        def place(kind): return "" if kind == "Namespace" else namespace
        def find(kind, ns, name):
            for o in state["objects"]:
                m = o["metadata"]
                if (o["kind"], m.get("namespace", ""), m["name"]) == (kind, ns, name): return o
        def shown(o):
            o = json.loads(json.dumps(o)); o["metadata"]["managedFields"] = [{"manager": "x", "fieldsV1": o.pop("_owners")}]
            return o
        def answer(items):
            text = json.dumps({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items})
            return text if len(items) != 1 or words[0] == "get" and len(words) == 2 else json.dumps(items[0])
        def leaves(value, path=()):
            if isinstance(value, dict) and value:
                found = {}
                for key, inner in value.items(): found.update(leaves(inner, path + (key,)))
                return found
            return {path: value}
        IDENTITY = {("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")}
        def put(o, path, value):
            for part in path[:-1]: o = o.setdefault(part, {})
            o[path[-1]] = value
        def drop(o, path):
            for part in path[:-1]:
                o = o.get(part)
                if not isinstance(o, dict): return
            o.pop(path[-1], None)
        def look(o, path):
            for part in path:
                if not isinstance(o, dict) or part not in o: return None
                o = o[part]
            return o
        verb = words[0] if words else ""
        if verb == "version":
            print(json.dumps({"clientVersion": {"gitVersion": "v1.32.4"}, "serverVersion": {"gitVersion": "v1.32.2"}}))
        elif verb == "auth" and words[1:3] == ["can-i", "list"]:
            plural = resource(words[3])[0]
            ok = plural not in bad.get("forbidden", [])
            print("yes" if ok else "no"); sys.exit(0 if ok else 1)
        elif verb == "get":
            if options.get("output") != "json": die("the double prints JSON only")
            plural, group, kind = resource(words[1])
            if len(words) == 3:
                allowed(plural, "get")
                found = find(kind, place(kind), words[2])
                if not found: die('Error from server (NotFound): %s "%s" not found' % (plural, words[2]))
                print(answer([shown(found)])); sys.exit(0)
            allowed(plural, "list")
            # A namespace that does not exist: an empty list and success, as the real one.
            items = [shown(o) for o in state["objects"] if o["kind"] == kind and o["metadata"].get("namespace", "") == place(kind)]
            if options.get("selector"):
                key, _, value = options["selector"].partition("=")
                items = [o for o in items if o["metadata"].get("labels", {}).get(key) == value]
            text = answer(items)
            if bad.get("page") == plural: text = text.replace('"resourceVersion": ""', '"resourceVersion": "1", "continue": "more"')
            if bad.get("truncated") == plural: text = text[:len(text) // 2]
            print(text)
        elif verb == "apply":
            if "server-side" not in options or options.get("filename") != "-": die("the double applies standard input on the server only")
            manager, force, trial = options.get("field-manager", "kubectl"), options.get("force-conflicts", "false") != "false", options.get("dry-run") == "server"
            before, results, problems = json.dumps(state), [], []
            text = sys.stdin.read()
            if manager == "salvor" and any(0x7f <= ord(c) <= 0x9f or c == chr(0xfeff) for c in text):
                die("Error from server (BadRequest): error decoding YAML: error converting YAML to JSON: yaml: control characters are not allowed")
            for given in json.loads(text)["items"]:
                m = given["metadata"]; kind, name = given["kind"], m["name"]
                plural = resource(kind.lower())[0]
                ns = m.get("namespace", "")
                namespace = ns
                allowed(plural, "patch")
                if m.get("managedFields"): die("metadata.managedFields must be nil")
                if kind != "Namespace" and not find("Namespace", "", ns):
                    problems.append('Error from server (NotFound): namespaces "%s" not found' % ns); continue
                if bad.get("fails-after") is not None and len(results) >= bad["fails-after"] and not trial:
                    problems.append("Error from server (InternalError): an error on the server has prevented the request"); break
                wanted = {p: v for p, v in leaves(given).items() if p not in IDENTITY}
                o = find(kind, ns, name)
                if o and m.get("resourceVersion") not in (None, o["metadata"]["resourceVersion"]):
                    problems.append('Error from server (Conflict): the object has been modified; please apply your changes to the latest version'); continue
                if not o:
                    o = {"apiVersion": given["apiVersion"], "kind": kind, "metadata": {"name": name}, "_owners": {}}
                    if ns: o["metadata"]["namespace"] = ns
                    state["next"] += 1
                    uid = open(os.path.join(here, "cluster")).read().strip() if name == "kube-system" else "uid-%d" % state["next"]
                    o["metadata"].update(uid=uid, creationTimestamp="2026-11-21T02:00:00Z")
                    if kind == "Deployment": o["status"] = {"readyReplicas": 1}
                    if kind == "Service": o["spec"] = {"clusterIP": "10.96.0.%d" % (state["next"] % 250), "clusterIPs": ["10.96.0.1"]}
                    state["objects"].append(o)
                owners = o["_owners"]
                if o.get("immutable") is True:
                    for p, v in wanted.items():
                        if p[0] in ("data", "binaryData", "immutable") and look(o, p) != v:
                            problems.append('The %s "%s" is invalid: data: Forbidden: field is immutable when `immutable` is set' % (kind, name)); break
                    if problems: continue
                ports = {q.get("nodePort") for q in given.get("spec", {}).get("ports", [])} - {None} if kind == "Service" else set()
                for other in state["objects"]:
                    if other["kind"] == "Service" and other is not o:
                        for q in other.get("spec", {}).get("ports", []):
                            if q.get("nodePort") in ports:
                                problems.append('The Service "%s" is invalid: spec.ports[0].nodePort: Invalid value: %d: provided port is already allocated' % (name, q["nodePort"]))
                if problems: continue
                taken = {}
                for p, v in wanted.items():
                    others = [w for w in owners.get(mark.join(p), []) if w != manager]
                    if others and look(o, p) != v: taken.setdefault(others[0], []).append("." + ".".join(p))
                if taken and not force:
                    for other, paths in taken.items():
                        problems.append('error: Apply failed with %d conflict%s: conflict%s with "%s" using v1: %s' % (
                            len(paths), "s" * (len(paths) > 1), "s" * (len(paths) > 1), other, paths[0] if len(paths) == 1 else "\n- " + "\n- ".join(paths)))
                    continue
                for p in [tuple(k.split(mark)) for k in list(owners)]:
                    key = mark.join(p)
                    if p not in wanted and manager in owners[key]:
                        owners[key].remove(manager)
                        if not owners[key]: del owners[key]; drop(o, p)
                for p, v in wanted.items():
                    key = mark.join(p)
                    if look(o, p) == v: owners[key] = sorted(set(owners.get(key, []) + [manager]))
                    else: put(o, p, v); owners[key] = [manager]
                if kind == "Service" and o["spec"].get("clusterIP") == "None": o["spec"]["clusterIPs"] = ["None"]
                state["next"] += 1
                o["metadata"].update(resourceVersion=str(state["next"]), generation=state["next"])
                results.append(shown(o))
            if trial: state = json.loads(before)
            save()
            print(answer(results))
            if problems: die("\n".join(problems))
        elif verb == "delete":
            plural, group, kind = resource(words[1])
            o = find(kind, place(kind), words[2])
            if o: state["objects"].remove(o)
            if kind == "Namespace": state["objects"] = [x for x in state["objects"] if x["metadata"].get("namespace") != words[2]]
            save()
        else: die("error: unknown command %r" % words)
        """#
}
