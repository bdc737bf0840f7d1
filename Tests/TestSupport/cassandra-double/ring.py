# SPDX-License-Identifier: Apache-2.0
"""A ring that looks like Cassandra's from outside: data directories, table folders with ids, SSTables with real CRCs, snapshots
as hard links. What is in an SSTable is the double's own: one JSON line a row. Sources are named at each behaviour;
"C*" is github.com/apache/cassandra, "doc" is cassandra.apache.org/doc/latest."""
import json, os, time, zlib


class Refusal(Exception):
    """What a tool says on standard error, and its status."""

    def __init__(self, text, status=1):
        super().__init__(text)
        self.text, self.status = text, status


def token(key):
    """Stands for Murmur3: 64 bits with a sign."""
    text = str(key).encode()
    return (zlib.crc32(text) << 32 | zlib.crc32(text[::-1] + b"low")) - (1 << 63)


def identifier(text):
    """A UUID of a text: a few checksums are as good here, and quicker to start with than hashlib."""
    digits = "".join(f"{zlib.crc32(f'{part} {text}'.encode()):08x}" for part in range(4))
    return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])


def remove(folder):
    for place, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(f"{place}/{name}")
        for name in folders:
            os.rmdir(f"{place}/{name}")
    if os.path.isdir(folder):
        os.rmdir(folder)


class Ring:
    def __init__(self, root):
        with open(f"{root}/state.json") as file:
            self.state = json.load(file)

    @property
    def faults(self):
        return self.state["faults"]

    @property
    def nodes(self):
        return self.state["nodes"]

    @property
    def keyspaces(self):
        return self.state["keyspaces"]

    def node(self, name):
        return self.nodes[name]

    def release(self, name):
        return tuple(int(part) for part in self.node(name)["release"].split(".")[:2])

    def schema_version(self):
        """C* SchemaKeyspace.calculateSchemaDigest: a digest of all definitions."""
        return identifier(json.dumps(self.keyspaces, sort_keys=True))

    def table(self, keyspace, name):
        if keyspace not in self.keyspaces:
            raise Refusal(f"Keyspace [{keyspace}] does not exist.")
        found = self.keyspaces[keyspace]["tables"].get(name)
        if not found:
            raise Refusal(f"Unknown keyspace/cf pair ({keyspace}.{name})", 2)
        return found

    # Where things are.

    def folder(self, keyspace, name, data):
        """doc "Backups": data_file_directory/keyspace/table-UUID without hyphens."""
        return f"{data}/{keyspace}/{name}-{self.table(keyspace, name)['id'].replace('-', '')}"

    def make_folders(self, keyspace, name):
        for node in self.nodes.values():
            for data in node["data"]:
                os.makedirs(self.folder(keyspace, name, data), exist_ok=True)

    def live(self, node, keyspace, name):
        """Paths without component of the SSTables that the node knows; others in the folder it never looks at."""
        return self.state["live"].setdefault(node, {}).setdefault(self.table(keyspace, name)["id"], [])

    # Ownership.

    def replicas(self, keyspace, key):
        ring = sorted((int(token), name) for name, node in self.nodes.items() for token in node["tokens"])
        factor = min(self.keyspaces[keyspace]["rf"], len(self.nodes))
        start = next((i for i, (end, _) in enumerate(ring) if token(key) <= end), 0)
        found = []
        for step in range(len(ring)):
            name = ring[(start + step) % len(ring)][1]
            if name not in found:
                found.append(name)
            if len(found) == factor:
                break
        return found

    # SSTables.

    def generation(self, node, keyspace, name):
        counters = self.state["generations"].setdefault(node, {})
        table = self.table(keyspace, name)["id"]
        counters[table] = counters.get(table, 0) + 1
        return counters[table]

    def components(self, keyspace, name):
        layout = self.state["layout"]
        index = ["Partitions.db", "Rows.db"] if layout[1] == "bti" else ["Index.db", "Summary.db"]
        sai = [f"SAI+aa+{i}+TermsData.db" for i, kind in self.table(keyspace, name)["indexes"].items() if kind == "sai"]
        return ["Data.db", "Filter.db", "Statistics.db", "CompressionInfo.db", "Digest.crc32"] + index + sai + ["TOC.txt"]

    def write(self, node, keyspace, name, rows, folder=None, register=True):
        datas = self.node(node)["data"]
        number = self.generation(node, keyspace, name)
        # C* Directories.getWriteableLocation: new SSTables go to whichever directory has room.
        folder = folder or self.folder(keyspace, name, datas[number % len(datas)])
        os.makedirs(folder, exist_ok=True)
        version, kind = self.state["layout"]
        base = f"{folder}/{version}-{number}-{kind}-"
        content = "".join(json.dumps(row, sort_keys=True) + "\n" for row in rows).encode()
        components = self.components(keyspace, name)
        for component in components:
            data = f"{component} of {node} {number}\n".encode()
            if component == "Data.db":
                data = content
            elif component == "Digest.crc32":
                # C* ChecksumWriter.writeFullChecksum: the decimal CRC-32 of the whole data file, no newline.
                data = str(zlib.crc32(content)).encode()
            elif component == "TOC.txt":
                data = "".join(c + "\n" for c in components).encode()
            with open(base + component, "wb") as file:
                file.write(data)
        if register:
            self.live(node, keyspace, name).append(base)
        return base

    def read(self, base):
        """Rows of an SSTable, or what a node throws for a broken one (C* CorruptSSTableException)."""
        try:
            with open(base + "TOC.txt") as file:
                listed = file.read().split()
            missing = [c for c in listed if not os.path.exists(base + c)]
            with open(base + "Data.db", "rb") as file:
                content = file.read()
            with open(base + "Digest.crc32") as file:
                digest = int(file.read())
        except (OSError, ValueError) as error:
            raise Refusal(f"CorruptSSTableException: {base}: {error}", 2)
        if missing or zlib.crc32(content) != digest:
            raise Refusal(f"CorruptSSTableException: {base}Data.db", 2)
        return [json.loads(line) for line in content.decode().splitlines()]

    def require_columns(self, keyspace, name, rows):
        """C* SerializationHeader.toHeader: "Unknown column x during deserialization" unless it is a dropped one."""
        table = self.table(keyspace, name)
        known = {c[0] for c in table["columns"]} | set(table["dropped"])
        for row in rows:
            for column in row["row"]:
                if column not in known:
                    raise Refusal(f"java.lang.RuntimeException: Unknown column {column} during deserialization", 2)

    def flush(self, node, keyspace, name):
        rows = self.state["memtables"].setdefault(node, {}).pop(f"{keyspace}.{name}", [])
        if rows:
            self.write(node, keyspace, name, rows)
            for index, kind in self.table(keyspace, name)["indexes"].items():
                if kind == "2i":
                    # doc "Backups": secondary indexes are in hidden folders of the table's.
                    base = self.live(node, keyspace, name)[-1]
                    self.write(node, keyspace, name, rows, f"{os.path.dirname(base)}/.{index}", register=False)

    def insert(self, keyspace, name, rows):
        for row in rows:
            for node in self.replicas(keyspace, row["key"]):
                self.state["memtables"].setdefault(node, {}).setdefault(f"{keyspace}.{name}", []).append(row)
        for view, base in self.keyspaces[keyspace]["views"].items():
            if base["base"] == name:
                self.insert(keyspace, view, rows)

    def rows(self, keyspace, name):
        """What a query sees: the newest of each row on all nodes that are up."""
        found = {}
        for node, settings in self.nodes.items():
            if not settings["up"]:
                continue
            parts = list(self.state["memtables"].get(node, {}).get(f"{keyspace}.{name}", []))
            for base in self.live(node, keyspace, name):
                parts += self.read(base)
            for row in parts:
                if str(row["key"]) not in found or found[str(row["key"])]["ts"] < row["ts"]:
                    found[str(row["key"])] = row
        return [found[key] for key in sorted(found)]

    # Snapshots.

    def snapshot(self, node, keyspace, name, tag):
        """C* ColumnFamilyStore.snapshotWithoutMemtable: hard links, manifest.json, schema.cql."""
        missing = self.faults.get("snapshot-missing", {}).get(node) == f"{keyspace}.{name}"
        if missing and not tag.startswith(("truncated-", "dropped-")):
            return
        files = []
        first = f"{self.folder(keyspace, name, self.node(node)['data'][0])}/snapshots/{tag}"
        os.makedirs(first, exist_ok=True)
        for base in self.live(node, keyspace, name):
            folder = f"{os.path.dirname(base)}/snapshots/{tag}"
            os.makedirs(folder, exist_ok=True)
            for component in self.components_of(base):
                os.link(base + component, f"{folder}/{os.path.basename(base)}{component}")
            files.append(os.path.basename(base) + "Data.db")
        for index, kind in self.table(keyspace, name)["indexes"].items():
            for data in self.node(node)["data"] if kind == "2i" else []:
                folder = f"{self.folder(keyspace, name, data)}/.{index}"
                for file in os.listdir(folder) if os.path.isdir(folder) else []:
                    place = f"{self.folder(keyspace, name, data)}/snapshots/{tag}/.{index}"
                    os.makedirs(place, exist_ok=True)
                    os.link(f"{folder}/{file}", f"{place}/{file}")
                    if file.endswith("-Data.db"):
                        files.append(f".{index}/{file}")
        manifest = {"files": files}
        if self.release(node) >= (4, 1):
            # C* SnapshotManifest: since 4.1, and an Instant as Jackson writes it.
            manifest.update(created_at="2026-11-21T02:00:03.123Z", expires_at=None)
        with open(f"{first}/manifest.json", "w") as file:
            json.dump(manifest, file)
        if keyspace not in ("system", "system_schema"):
            with open(f"{first}/schema.cql", "w") as file:
                file.write(describe_table(self.keyspaces[keyspace], keyspace, name, internals=True, tabs=True))
        self.spoil(node, keyspace, name, tag)

    def components_of(self, base):
        with open(base + "TOC.txt") as file:
            return file.read().split()

    def spoil(self, node, keyspace, name, tag):
        """Damage on demand, in the snapshot only: as if the disk had it."""
        if not tag.startswith("salvor_") or tag.startswith("salvor_keep"):
            return
        for kind in ("truncated-sstable", "digest-mismatch", "component-missing", "toc-missing"):
            if self.faults.get(kind, {}).get(node) != f"{keyspace}.{name}":
                continue
            for data in self.node(node)["data"]:
                folder = f"{self.folder(keyspace, name, data)}/snapshots/{tag}"
                names = [f for f in sorted(os.listdir(folder)) if f.endswith("-Data.db")] if os.path.isdir(folder) else []
                if not names:
                    continue
                path = f"{folder}/{names[0]}"
                with open(path, "rb") as file:
                    content = bytearray(file.read())
                os.unlink(path)  # another file from now on, or the live one would be damaged, too
                if kind == "truncated-sstable":
                    content = content[: len(content) // 2]
                elif kind == "digest-mismatch":
                    content[len(content) // 3] ^= 0x10
                with open(path, "wb") as file:
                    file.write(content)
                if kind == "component-missing":
                    os.unlink(path.replace("Data.db", "Statistics.db"))
                if kind == "toc-missing":
                    os.unlink(path.replace("Data.db", "TOC.txt"))
                break

    def tags(self, node):
        found = set()
        for data in self.node(node)["data"]:
            for keyspace in os.listdir(data):
                for table in os.listdir(f"{data}/{keyspace}"):
                    place = f"{data}/{keyspace}/{table}/snapshots"
                    for tag in os.listdir(place) if os.path.isdir(place) else []:
                        found.add((tag, keyspace, table.split("-")[0]))
        return sorted(found)

    def clear(self, node, tag):
        for data in self.node(node)["data"]:
            for keyspace in os.listdir(data):
                for table in os.listdir(f"{data}/{keyspace}"):
                    remove(f"{data}/{keyspace}/{table}/snapshots/{tag}")

    # Loading.

    def take(self, node, keyspace, name, source):
        """Gives a complete SSTable a new number in the table's folder."""
        number = self.generation(node, keyspace, name)
        version, _, kind, _ = os.path.basename(source).split("-")
        while True:
            base = f"{self.folder(keyspace, name, self.node(node)['data'][0])}/{version}-{number}-{kind}-"
            if not os.path.exists(base + "Data.db"):
                break
            number = self.generation(node, keyspace, name)
        for component in self.components_of(source):
            os.rename(source + component, base + component)
        self.live(node, keyspace, name).append(base)

    def compact(self, node, keyspace, name):
        """Automatic compaction, which a table has unless it is switched off (doc "nodetool disableautocompaction")."""
        live = self.live(node, keyspace, name)
        if f"{node}/{keyspace}" in self.state["no-compaction"] or len(live) < 2:
            return
        rows = [row for base in live for row in self.read(base)]
        old = list(live)
        live.clear()
        self.write(node, keyspace, name, rows)
        for base in old:
            for component in self.components_of(base):
                os.unlink(base + component)

    def truncate(self, keyspace, name, reason="truncated"):
        """doc "TRUNCATE" and auto_snapshot: every node keeps a snapshot and forgets its files."""
        if not all(node["up"] for node in self.nodes.values()):
            raise Refusal("Unable to complete request: one or more nodes were unavailable.", 2)
        for node in self.nodes:
            self.state["memtables"].setdefault(node, {}).pop(f"{keyspace}.{name}", None)
            live = self.live(node, keyspace, name)
            self.snapshot(node, keyspace, name, f"{reason}-{time.time_ns() // 1000}-{name}")
            for base in live:
                for component in self.components_of(base):
                    os.unlink(base + component)
            live.clear()
        for view, base in list(self.keyspaces[keyspace]["views"].items()):
            if base["base"] == name:
                self.truncate(keyspace, view, reason)


def describe_table(keyspace_definition, keyspace, name, internals, tabs=False):
    table = keyspace_definition["tables"][name]
    indent = "\t" if tabs else "    "
    columns = f",\n{indent}".join(f"{c[0]} {c[2]}" for c in table["columns"])
    dropped = "".join(f",\n{indent}{c} text" for c in table["dropped"]) if internals else ""
    key = f",\n{indent}PRIMARY KEY ({', '.join(c[0] for c in table['columns'] if c[1] == 'partition_key')})"
    head = "CREATE TABLE IF NOT EXISTS" if tabs else "CREATE TABLE"
    own = f"ID = {table['id']}\n{indent}AND " if internals else ""
    text = f"{head} {keyspace}.{name} (\n{indent}{columns}{dropped}{key})\n{indent}WITH {own}comment = 'it''s; here';\n"
    if internals:
        for column in table["dropped"]:
            text += f"ALTER TABLE {keyspace}.{name} DROP {column} USING TIMESTAMP 1500000000000000;\n"
    for index, kind in table["indexes"].items():
        target = table["columns"][-1][0]
        text += (
            f"CREATE CUSTOM INDEX {index} ON {keyspace}.{name} ({target}) USING 'StorageAttachedIndex';\n"
            if kind == "sai" else f"CREATE INDEX {index} ON {keyspace}.{name} ({target});\n")
    return text
