# SPDX-License-Identifier: Apache-2.0
"""nodetool, cqlsh and sstableloader of the double ring, and `admin`, by which tests write rows and misbehave."""
import json, os, time
from cql import Session
from ring import Refusal, identifier

STAND_INS = {}


def command(function):
    STAND_INS[function.__name__] = function
    return function


def by_port(ring, kind, port):
    return next((name for name, node in ring.nodes.items() if node[kind] == port), None)


def nodetool(ring, arguments):
    words, options = list(arguments), {"-h": "127.0.0.1", "-p": "7199"}
    while words and words[0].startswith("-"):
        if words[0] not in ("-h", "-p", "-u", "-pwf"):
            raise Refusal(f"nodetool: Found unexpected parameters: [{words[0]}]")
        options[words[0]] = words[1]
        words = words[2:]
    name = by_port(ring, "jmx", int(options["-p"]))
    where = f"Failed to connect to '{options['-h']}:{options['-p']}'"
    if name is None or not ring.node(name)["up"]:
        # C* NodeTool.connect / NodeProbe: printed on standard error, status 1.
        raise Refusal(f"nodetool: {where} - ConnectException: 'Connection refused (Connection refused)'.")
    if user := ring.state.get("jmx-user"):
        given = None
        if "-pwf" in options:
            with open(options["-pwf"]) as file:
                # doc "nodetool -pwf": lines of user and password.
                given = dict(line.split(None, 1) for line in file.read().splitlines() if line.strip())
        if not given or given.get(options.get("-u")) != user["password"] or options.get("-u") != user["name"]:
            raise Refusal(f"nodetool: {where} - SecurityException: 'Authentication failed! Invalid username or password'.")
    function = STAND_INS.get(words[0] if words else "")
    if not function:
        raise Refusal(f"nodetool: Found unexpected parameters: {words}")
    function(ring, name, words[1:])


@command
def version(ring, node, _):
    print(f"ReleaseVersion: {ring.node(node)['release']}")


@command
def describecluster(ring, node, _):
    up = [n["address"] for n in ring.nodes.values() if n["up"]]
    versions = {ring.schema_version(): up}
    if ring.faults.get("schema-disagreement"):
        versions = {ring.schema_version(): up[:-1] or up, identifier("another"): up[-1:]}
    if down := [n["address"] for n in ring.nodes.values() if not n["up"]]:
        versions["UNREACHABLE"] = down
    print(f"Cluster Information:\n\tName: {ring.state['cluster']}\n\tSnitch: org.apache.cassandra.locator.SimpleSnitch")
    print("\tDynamicEndPointSnitch: enabled\n\tPartitioner: org.apache.cassandra.dht.Murmur3Partitioner\n\tSchema versions:")
    for text, addresses in versions.items():
        print(f"\t\t{text}: [{', '.join(addresses)}]\n")
    if ring.release(node) >= (4, 0):
        print(f"Stats for all nodes:\n\tLive: {len(up)}\n\tJoining: 0")


@command
def status(ring, node, _):
    print("Datacenter: dc1\n===============\nStatus=Up/Down\n|/ State=Normal/Leaving/Joining/Moving")
    print("--  Address    Load       Tokens  Owns (effective)  Host ID                               Rack")
    for name, other in ring.nodes.items():
        state = ("U" if other["up"] else "D") + ring.faults.get("joining", {}).get(name, "N")
        print(f"{state}  {other['address']}  1.1 MiB  {len(other['tokens'])}  100.0%  {other['host_id']}  {other['rack']}")


@command
def snapshot(ring, node, words):
    tag, tables, keyspaces, flushes = None, None, [], True
    while words:
        word = words.pop(0)
        if word == "-t":
            tag = words.pop(0)
        elif word == "-kt":
            tables = [tuple(item.split(".")) for item in words.pop(0).split(",")]
        elif word == "-sf":
            flushes = False
        elif word != "--":
            keyspaces.append(word)
    if tables and keyspaces:
        # C* nodetool/Snapshot.java.
        raise Refusal("error: When specifying the Keyspace table list (using -kt,--kt-list,-kc,--kc.list), you must not "
                      "also specify keyspaces to snapshot", 2)
    for keyspace in keyspaces:
        if keyspace not in ring.keyspaces:
            raise Refusal(f"error: Keyspace {keyspace} does not exist", 2)
    chosen = tables or [(k, t) for k in keyspaces or sorted(ring.keyspaces) for t in sorted(ring.keyspaces[k]["tables"])]
    for keyspace, table in chosen:
        ring.table(keyspace, table)
    if any(found == tag for found, keyspace, table in ring.tags(node) if (keyspace, table) in chosen):
        # C* StorageService.takeSnapshot.
        raise Refusal(f"error: Snapshot {tag} already exists.\n-- StackTrace --", 2)
    if ring.faults.get("snapshot-fails") == node:
        raise Refusal("error: No space left on device\n-- StackTrace --", 2)
    if ring.faults.get("snapshot-silent") == node:
        return
    for keyspace, table in chosen:
        if flushes:
            ring.flush(node, keyspace, table)
        ring.snapshot(node, keyspace, table, tag)
    names = ", ".join(keyspaces) if keyspaces else "all keyspaces"
    print(f"Requested creating snapshot(s) for [{names}] with snapshot name [{tag}] and options {{skipFlush={str(not flushes).lower()}}}")
    print(f"Snapshot directory: {tag}")
    if ring.faults.pop("schema-changes", None):
        ring.keyspaces["app"]["types"]["late"] = "a int"
    if row := ring.faults.pop("writes-meanwhile", None):
        ring.insert(row[0], row[1], [{"key": f"late{i}", "ts": time.time_ns(), "row": {"id": "x"}} for i in range(3)])


@command
def clearsnapshot(ring, node, words):
    if "-t" not in words and "--all" not in words:
        # C* nodetool/ClearSnapshot.java, since 4.0.
        raise Refusal("error: Specify snapshot name or --all", 2)
    if ring.faults.get("clear-ignored") != node:
        ring.clear(node, words[words.index("-t") + 1])
    print("Requested clearing snapshot(s) for [all keyspaces]")


@command
def listsnapshots(ring, node, _):
    print("Snapshot Details: \nSnapshot name Keyspace name Column family name True size Size on disk")
    for tag, keyspace, table in ring.tags(node):
        print(f"{tag} {keyspace} {table} 0 bytes 13 bytes")
    print("\nTotal TrueDiskSpaceUsed: 0 bytes")


def compaction(ring, node, words, is_on):
    for keyspace in words:
        if keyspace not in ring.keyspaces:
            raise Refusal(f"nodetool: Keyspace [{keyspace}] does not exist.")
        place, off = f"{node}/{keyspace}", ring.state["no-compaction"]
        if is_on and place in off:
            off.remove(place)
        elif not is_on and place not in off:
            off.append(place)


@command
def disableautocompaction(ring, node, words):
    compaction(ring, node, words, False)


@command
def enableautocompaction(ring, node, words):
    compaction(ring, node, words, True)


def complete(folder):
    """Bases of the SSTables in a folder."""
    return sorted(f"{folder}/{name[:-7]}" for name in os.listdir(folder) if name.endswith("-Data.db"))


def import_(ring, node, words):
    if ring.release(node) < (4, 0):
        raise Refusal("nodetool: Found unexpected parameters: [import]")
    keyspace, table, folder = [word for word in words if not word.startswith("-")]
    ring.table(keyspace, table)
    # C* SSTableImporter.verifySSTableForImport and its caller.
    if not os.path.isdir(folder):
        raise Refusal(f"error: Directory {folder} does not exist.\n-- StackTrace --", 2)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise Refusal(f"error: Insufficient permissions on directory {folder}", 2)
    bases = complete(folder)
    try:
        for base in bases:
            if not readable(ring, node, base):
                raise Refusal("Unsupported version")
            rows = ring.read(base)
            ring.require_columns(keyspace, table, rows)
            for row in rows:
                if node not in ring.replicas(keyspace, row["key"]):
                    raise Refusal(f"Key {row['key']} is not contained in the given ranges")
    except Refusal:
        # C* nodetool/Import.java: the reason is in the server's log only.
        raise Refusal(f"error: Some directories failed to import, check server logs for details:\n{folder}", 1)
    lost = ring.faults.get("import-loses")
    for index, base in enumerate(bases):
        if ring.faults.get("import-ignores") == node:
            continue
        if lost == f"{keyspace}.{table}" and index == 0:
            for component in ring.components_of(base):
                os.unlink(base + component)
            continue
        ring.take(node, keyspace, table, base)
    ring.compact(node, keyspace, table)


STAND_INS["import"] = import_


def readable(ring, node, base):
    """C* BigFormat/BtiFormat isCompatible: what each major release opens."""
    version, _, kind, _ = os.path.basename(base).split("-")
    major = ring.release(node)[0]
    known = {3: ["ma", "mb", "mc", "md", "me"], 4: ["ma", "mb", "mc", "md", "me", "na", "nb"],
             5: ["ma", "mb", "mc", "md", "me", "na", "nb", "oa"]}[major]
    return version in known if kind == "big" else (major == 5 and version == "da")


@command
def refresh(ring, node, words):
    keyspace, table = [word for word in words if word != "--"]
    ring.table(keyspace, table)
    live = set(ring.live(node, keyspace, table))
    for data in ring.node(node)["data"]:
        # C* ColumnFamilyStore.loadNewSSTables: only the folder of the current id, only what is not known yet.
        for base in complete(ring.folder(keyspace, table, data)):
            if base not in live and readable(ring, node, base) and ring.faults.get("refresh-ignores") != node:
                ring.require_columns(keyspace, table, ring.read(base))
                ring.take(node, keyspace, table, base)
    ring.compact(node, keyspace, table)


def cqlsh(ring, arguments):
    words, statements, place = list(arguments), None, []
    while words:
        word = words.pop(0)
        if word == "-e":
            statements = words.pop(0)
        elif word in ("--cqlshrc", "--credentials"):
            with open(words.pop(0)) as file:
                ring.state["seen-login"] = file.read()
        elif word in ("--no-color", "--ssl") or word.startswith("--request-timeout="):
            pass
        elif word.startswith("-"):
            raise Refusal(f"cqlsh: error: no such option: {word}", 2)
        else:
            place.append(word)
    host, port = place[0] if place else "127.0.0.1", int(place[1]) if len(place) > 1 else 9042
    name = by_port(ring, "cql", port)
    if name is None or not ring.node(name)["up"]:
        raise Refusal(f"Connection error: ('Unable to connect to any servers', {{'{host}:{port}': ConnectionRefusedError(111, "
                      "\"Tried connecting to [('127.0.0.1', 9042)]. Last error: Connection refused\")})")
    if ring.faults.get("cql-denied"):
        raise Refusal(f"Connection error: ('Unable to connect to any servers', {{'{host}:{port}': AuthenticationFailed('Failed to "
                      "authenticate: Error from server: code=0100 [Bad credentials]')})")
    Session(ring, name).run(statements)


def sstableloader(ring, arguments):
    words, hosts, folder = list(arguments), None, None
    while words:
        word = words.pop(0)
        if word == "-d":
            hosts = words.pop(0)
        else:
            folder = word
    if not hosts:
        raise Refusal("Initial hosts must be specified (-d)")
    if not folder or not os.path.isdir(folder):
        raise Refusal(f"Unknown directory: {folder}")
    keyspace, table = folder.rstrip("/").split("/")[-2:]
    table = table.split("-")[0]
    try:
        ring.table(keyspace, table)
    except Refusal:
        # C* BulkLoader / SSTableLoader.openSSTables.
        raise Refusal(f"Skipping file: table {keyspace}.{table} doesn't exist")
    if ring.faults.get("loader-fails"):
        raise Refusal("Streaming to the following hosts failed:\n[/127.0.0.2:7000]")
    for base in complete(folder):
        rows = ring.read(base)
        ring.require_columns(keyspace, table, rows)
        ring.insert(keyspace, table, rows)
    print("progress: [/127.0.0.1:7000]0:1/1 100% total: 100% 1.1KiB/s (avg: 1.1KiB/s)")


# What tests do to the ring.


def admin(ring, arguments):
    action, rest = arguments[0], arguments[1:]
    if action == "insert":
        keyspace, table, start, count = rest[0], rest[1], int(rest[2]), int(rest[3])
        extra = json.loads(rest[4]) if len(rest) > 4 else {}
        known = [column[0] for column in ring.table(keyspace, table)["columns"]]
        named = {"name": "row"} if "name" in known else {}
        ring.insert(keyspace, table, [
            {"key": key, "ts": time.time_ns(), "row": dict(named, id=f"row {key}", **extra)}
            for key in range(start, start + count)])
    elif action == "blobs":
        ring.insert(rest[0], rest[1], [
            {"key": key, "ts": time.time_ns(), "row": row} for key, row in enumerate(json.loads(rest[2]))])
    elif action == "flush":
        for node in ring.nodes:
            ring.flush(node, rest[0], rest[1])
    elif action == "cql":
        Session(ring, next(iter(ring.nodes))).run(rest[0])
    elif action == "rows":
        print(len(ring.rows(rest[0], rest[1])))
    elif action == "fault":
        if rest[1] == "null":
            ring.faults.pop(rest[0], None)
        else:
            ring.faults[rest[0]] = json.loads(rest[1])
    elif action == "node":
        ring.node(rest[0]).update(json.loads(rest[1]))
    elif action == "set":
        ring.state[rest[0]] = json.loads(rest[1])
    elif action == "tags":
        for node in ring.nodes:
            for tag, keyspace, table in ring.tags(node):
                print(node, tag, keyspace, table)
    elif action == "reset-generations":
        ring.state["generations"] = {}
    elif action == "id":
        print(ring.table(rest[0], rest[1])["id"])
    elif action == "no-compaction":
        print(" ".join(ring.state["no-compaction"]))


def run(ring, tool, arguments):
    {"nodetool": nodetool, "cqlsh": cqlsh, "sstableloader": sstableloader, "admin": admin}[tool](ring, arguments)
