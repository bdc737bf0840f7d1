# SPDX-License-Identifier: Apache-2.0
"""The few statements of CQL that are needed, as cqlsh answers them."""
import json, re, time
from ring import Refusal, describe_table, identifier

NAME = r'("[^"]+"|\w+)'


def plain(name):
    return name[1:-1] if name.startswith('"') else name.lower()


def invalid(text):
    # C* cqlsh.py perform_simple_statement: "<file>:<line>:<error>" on standard error, status 2 at the end.
    return Refusal(f"<stdin>:1:InvalidRequest: Error from server: code=2200 [Invalid query] message=\"{text}\"", 2)


def split(text):
    parts, current, quote = [], "", None
    for character in text:
        if quote:
            quote = None if character == quote else quote
        elif character in "'\"":
            quote = character
        if character == ";" and not quote:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return [part for part in parts + [current.strip()] if part]


def answer(rows):
    """C* cqlsh.py print_result: header, one line a row, their number; backslashes of texts are doubled (formatting.py)."""
    print("\n [json]\n" + "-" * 40)
    for row in rows:
        print(" " + json.dumps(row).replace("\\", "\\\\"))
    print(f"\n({len(rows)} rows)\n")


def columns(body):
    """Columns and the partition key of a CREATE TABLE's body."""
    parts, depth, current = [], 0, ""
    for character in body:
        depth += {"(": 1, "<": 1, ")": -1, ">": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    parts.append(current.strip())
    key = next((re.findall(r"\w+", p.split("(", 1)[1])[0:1] for p in parts if p.upper().startswith("PRIMARY KEY")), None)
    found = []
    for part in parts:
        if part.upper().startswith("PRIMARY KEY"):
            continue
        name, kind = part.split(None, 1)
        is_key = "PRIMARY KEY" in kind.upper() or (key and name in key)
        kind = re.sub(r"(?i)\s+PRIMARY KEY", "", kind)
        found.append([name, "partition_key" if is_key else "regular", kind])
    return found


class Session:
    def __init__(self, ring, node):
        self.ring, self.node = ring, node

    def run(self, text):
        for statement in split(text):
            self.one(" ".join(statement.split()) if not statement.upper().startswith("CREATE") else statement)

    def one(self, statement):
        upper = statement.upper()
        if upper.startswith("CONSISTENCY "):
            print(f"Consistency level set to {upper.split()[1]}.")
        elif upper.startswith("SELECT JSON "):
            self.select(statement)
        elif upper.startswith("DESCRIBE "):
            self.describe(upper)
        elif upper.startswith("CREATE "):
            self.create(statement)
        elif upper.startswith("ALTER TABLE "):
            self.alter(statement)
        elif upper.startswith("DROP "):
            self.drop(statement)
        elif upper.startswith("TRUNCATE "):
            keyspace, name = self.qualified(statement.split(None, 1)[1].replace("TABLE ", ""))
            self.ring.truncate(keyspace, name)
        else:
            raise invalid(f"line 1:0 no viable alternative at input '{statement.split()[0]}'")

    def qualified(self, text):
        keyspace, name = (plain(part) for part in re.match(rf"{NAME}\.{NAME}", text.strip()).groups())
        if keyspace not in self.ring.keyspaces:
            raise invalid(f"Keyspace '{keyspace}' does not exist")
        if name not in self.ring.keyspaces[keyspace]["tables"]:
            raise invalid(f"table {name} does not exist")
        return keyspace, name

    # Reading.

    def select(self, statement):
        match = re.match(rf"SELECT JSON (.+?) FROM {NAME}\.{NAME}(?: WHERE (.+?))?(?: LIMIT (\d+))?$", statement, re.I)
        wanted, keyspace, table, where, limit = match.groups()
        keyspace, table = plain(keyspace), plain(table)
        if (keyspace, table) in SYSTEM:
            rows = SYSTEM[keyspace, table](self)
        else:
            self.qualified(f'"{keyspace}"."{table}"')
            rows = [dict(row["row"], key=row["key"]) for row in self.ring.rows(keyspace, table)]
        for condition in re.split(r" AND ", where, flags=re.I) if where else []:
            name, value = re.match(r"(\w+) = '(.*)'$", condition).groups()
            rows = [row for row in rows if row[name] == value.replace("''", "'")]
        if wanted == "count(*)":
            rows = [{"count": len(rows)}]
        elif wanted != "*":
            rows = [{name.strip(): row.get(name.strip()) for name in wanted.split(",")} for row in rows]
        answer(rows[: int(limit)] if limit else rows)

    def local(self):
        node = self.ring.node(self.node)
        return [dict(self.peer_row(self.node), cluster_name=self.ring.state["cluster"],
                     partitioner="org.apache.cassandra.dht.Murmur3Partitioner", key="local", release_version=node["release"])]

    def peer_row(self, name):
        node = self.ring.node(name)
        return {"peer": node["address"], "data_center": node["dc"], "rack": node["rack"], "host_id": node["host_id"],
                "release_version": node["release"], "schema_version": self.ring.schema_version(), "tokens": node["tokens"]}

    def tables(self, is_view):
        return [
            {"keyspace_name": keyspace, "view_name" if is_view else "table_name": name, "id": table["id"]}
            for keyspace, definition in sorted(self.ring.keyspaces.items())
            for name, table in sorted(definition["tables"].items()) if (name in definition["views"]) == is_view]

    def all_columns(self):
        return [
            {"keyspace_name": keyspace, "table_name": name, "column_name": c[0], "kind": c[1], "type": c[2]}
            for keyspace, definition in sorted(self.ring.keyspaces.items())
            for name, table in sorted(definition["tables"].items()) for c in table["columns"]]

    def describe(self, upper):
        words = upper.split()[1:]
        internals = words[-2:] == ["WITH", "INTERNALS"]
        if internals and self.ring.release(self.node) < (4, 0):
            # C* 3.11 cqlsh.py do_describe knows no such words.
            raise Refusal("Improper DESCRIBE command.", 2)
        text = ""
        for keyspace, definition in sorted(self.ring.keyspaces.items()):
            if keyspace.startswith("system") and "FULL" not in words:
                continue
            text += (f"CREATE KEYSPACE {keyspace} WITH replication = {{'class': 'SimpleStrategy', "
                     f"'replication_factor': '{definition['rf']}'}}  AND durable_writes = true;\n\n")
            for name, body in definition["types"].items():
                text += f"CREATE TYPE {keyspace}.{name} (\n    {body}\n);\n\n"
            for name in sorted(definition["tables"]):
                if name not in definition["views"]:
                    text += describe_table(definition, keyspace, name, internals) + "\n"
            for name, view in definition["views"].items():
                text += f"CREATE MATERIALIZED VIEW {keyspace}.{name} AS\n{view['text']};\n\n"
        print(text)

    # Changing.

    def create(self, statement):
        statement = re.sub(r"\s+", " ", statement)
        exists = " IF NOT EXISTS" in statement.upper()
        statement = re.sub(r"(?i) IF NOT EXISTS", "", statement)
        keyspaces = self.ring.keyspaces
        if match := re.match(rf"CREATE KEYSPACE {NAME} WITH (.*)$", statement, re.I):
            name = plain(match[1])
            # C* SchemaConstants.NAME_LENGTH.
            if len(name) > 48 or not re.fullmatch(r"\w+", name):
                raise invalid(f'"{name}" is not a valid keyspace name')
            if name in keyspaces:
                if exists:
                    return
                raise Refusal(f"<stdin>:1:AlreadyExists: Keyspace '{name}' already exists", 2)
            factor = re.search(r"'replication_factor': '?(\d+)", match[2])
            keyspaces[name] = {"rf": int(factor[1]) if factor else 1, "tables": {}, "views": {}, "types": {}}
        elif match := re.match(rf"CREATE TYPE {NAME}\.{NAME} \((.*)\)$", statement, re.I):
            keyspaces[plain(match[1])]["types"][plain(match[2])] = match[3].strip()
        elif match := re.match(rf"CREATE TABLE {NAME}\.{NAME} \((.*?)\) ?(?:WITH (.*))?$", statement, re.I):
            if match[3].count("(") != match[3].count(")"):
                match = re.match(rf"CREATE TABLE {NAME}\.{NAME} \((.*\))\) ?(?:WITH (.*))?$", statement, re.I)
            self.create_table(plain(match[1]), plain(match[2]), match[3], match[4] or "", exists)
        elif match := re.match(rf"CREATE (CUSTOM )?INDEX {NAME} ON {NAME}\.{NAME} ", statement, re.I):
            keyspace, name = self.qualified(f"{match[3]}.{match[4]}")
            keyspaces[keyspace]["tables"][name]["indexes"][plain(match[2])] = "sai" if match[1] else "2i"
        elif match := re.match(rf"CREATE MATERIALIZED VIEW {NAME}\.{NAME} AS (.* FROM {NAME}\.{NAME}.*)$", statement, re.I):
            self.create_view(plain(match[1]), plain(match[2]), match[3], plain(match[5]))
        else:
            raise invalid(f"not understood: {statement}")

    def create_table(self, keyspace, name, body, options, exists):
        if keyspace not in self.ring.keyspaces:
            raise invalid(f"Keyspace '{keyspace}' doesn't exist")
        definition = self.ring.keyspaces[keyspace]
        if name in definition["tables"]:
            if exists:
                return
            raise Refusal(f"<stdin>:1:AlreadyExists: Table '{keyspace}.{name}' already exists", 2)
        given = re.search(r"(?i)\bID ?= ?([0-9a-f-]{36})", options)
        taken = {t["id"] for k in self.ring.keyspaces.values() for t in k["tables"].values()}
        if given and given[1] in taken:
            raise invalid(f"ID {given[1]} is used already")
        definition["tables"][name] = {
            "id": given[1] if given else identifier(time.time_ns()), "columns": columns(body), "dropped": [], "indexes": {}}
        self.ring.make_folders(keyspace, name)

    def create_view(self, keyspace, name, text, base):
        definition = self.ring.keyspaces[keyspace]
        if name in definition["tables"]:
            raise Refusal(f"<stdin>:1:AlreadyExists: Table '{keyspace}.{name}' already exists", 2)
        definition["tables"][name] = {
            "id": identifier(time.time_ns()), "columns": definition["tables"][base]["columns"], "dropped": [], "indexes": {}}
        definition["views"][name] = {"base": base, "text": text}
        self.ring.make_folders(keyspace, name)
        # doc "Materialized views": a new view is built from what its table has.
        rows = self.ring.rows(keyspace, base)
        for row in rows:
            for node in self.ring.replicas(keyspace, row["key"]):
                memtable = self.ring.state["memtables"].setdefault(node, {})
                memtable.setdefault(f"{keyspace}.{name}", []).append(row)

    def alter(self, statement):
        match = re.match(rf"ALTER TABLE {NAME}\.{NAME} (DROP|ADD) (\w+)(.*)$", statement, re.I)
        keyspace, name = self.qualified(f"{match[1]}.{match[2]}")
        table = self.ring.keyspaces[keyspace]["tables"][name]
        if match[3].upper() == "DROP":
            if match[4] not in [c[0] for c in table["columns"]]:
                raise invalid(f"Column {match[4]} was not found in table {name}")
            table["columns"] = [c for c in table["columns"] if c[0] != match[4]]
            table["dropped"].append(match[4])
        else:
            table["columns"].append([match[4], "regular", match[5].strip()])

    def drop(self, statement):
        exists = " IF EXISTS" in statement.upper()
        statement = re.sub(r"(?i) IF EXISTS", "", statement)
        if match := re.match(rf"DROP KEYSPACE {NAME}$", statement, re.I):
            name = plain(match[1])
            if name not in self.ring.keyspaces:
                if exists:
                    return
                raise invalid(f"Keyspace '{name}' doesn't exist")
            for table in self.ring.keyspaces[name]["tables"]:
                # doc auto_snapshot: the folder stays, with a last snapshot in it.
                self.ring.truncate(name, table, "dropped")
            del self.ring.keyspaces[name]
            off = self.ring.state["no-compaction"]
            off[:] = [place for place in off if not place.endswith(f"/{name}")]
            return
        match = re.match(rf"DROP (TABLE|MATERIALIZED VIEW) {NAME}\.{NAME}$", statement, re.I)
        keyspace, name = plain(match[2]), plain(match[3])
        if name not in self.ring.keyspaces.get(keyspace, {"tables": {}})["tables"]:
            if exists:
                return
            raise invalid(f"Table '{keyspace}.{name}' doesn't exist")
        views = self.ring.keyspaces[keyspace]["views"]
        if match[1].upper() == "TABLE" and any(view["base"] == name for view in views.values()):
            raise invalid("Cannot drop a table when materialized views still depend on it")
        self.ring.truncate(keyspace, name, "dropped")
        del self.ring.keyspaces[keyspace]["tables"][name]
        views.pop(name, None)


SYSTEM = {
    ("system", "local"): Session.local,
    ("system", "peers"): lambda s: [s.peer_row(n) for n in s.ring.nodes if n != s.node],
    ("system_schema", "keyspaces"): lambda s: [{"keyspace_name": k} for k in sorted(s.ring.keyspaces)],
    ("system_schema", "tables"): lambda s: s.tables(False),
    ("system_schema", "views"): lambda s: s.tables(True),
    ("system_schema", "columns"): Session.all_columns,
}
