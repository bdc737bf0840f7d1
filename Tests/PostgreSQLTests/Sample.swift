// SPDX-License-Identifier: Apache-2.0
import TestSupport

/// A database with one of everything that a careless backup loses.
enum Sample {
    static let oddName = "od'd \"näme\"=\n✓"

    /// Roles, and databases `app`, `empty` and one of an odd name, on an empty server.
    static func fill(_ server: ThrowawayPostgreSQL) async throws {
        try await server.sql(roles)
        try await server.sql(app, database: "app")
        try await server.sql(databaseLevel)
        let odd = "\"" + oddName.replacing("\"", with: "\"\"") + "\""
        try await server.sql("CREATE DATABASE \(odd) OWNER \"Owner;x\"; COMMENT ON DATABASE \(odd) IS 'ö';")
        try await server.sql(
            "CREATE TABLE \"t\n1\" (\"a\"\"b\" text); INSERT INTO \"t\n1\" VALUES (E'x\\ny'), (NULL);",
            database: oddName)
    }

    static let encodings = ["latin", "ascii", "icu", "host=nowhere", "postgresql://nowhere/x"]

    /// Databases of other encodings, locales and of names that clients take for connection strings.
    static func fillEncodings(_ server: ThrowawayPostgreSQL) async throws {
        try await server.sql(
            """
            CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
            CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C';
            CREATE DATABASE icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LC_COLLATE 'C' LC_CTYPE 'C';
            CREATE DATABASE "host=nowhere"; CREATE DATABASE "postgresql://nowhere/x";
            """)
        let umlaut =
            "SET client_encoding = 'UTF8'; CREATE TABLE \"größe\" (x text); INSERT INTO \"größe\" VALUES ('äöüß')"
        for database in ["latin", "icu", "host=nowhere", "postgresql://nowhere/x"] {
            try await server.sql(umlaut, database: database)
        }
        try await server.sql("CREATE TABLE bytes (x text); INSERT INTO bytes VALUES (E'\\xff\\xfe')", database: "ascii")
    }

    private static let roles = #"""
        CREATE ROLE app_owner LOGIN PASSWORD 'owner-secret';
        CREATE ROLE reader NOLOGIN; CREATE ROLE writer NOLOGIN;
        CREATE ROLE "Owner;x" LOGIN PASSWORD 'it''s';
        GRANT reader TO writer WITH ADMIN OPTION; GRANT writer TO app_owner;
        COMMENT ON ROLE reader IS E'reads;\n\\! touch /tmp/never\n-- not a comment';
        ALTER ROLE app_owner SET work_mem = '7MB';
        CREATE DATABASE app OWNER app_owner ENCODING 'UTF8' TEMPLATE template0 CONNECTION LIMIT 17;
        CREATE DATABASE empty;
        """#

    private static let databaseLevel = """
        COMMENT ON DATABASE app IS 'the application''s';
        ALTER DATABASE app SET search_path = "$user", sales, public, "odd ""schema";
        ALTER DATABASE app SET "myapp.tenant" = 'a''b\\c';
        ALTER ROLE reader IN DATABASE app SET statement_timeout = '5s';
        REVOKE ALL ON DATABASE app FROM PUBLIC;
        GRANT CONNECT ON DATABASE app TO reader; GRANT CREATE ON DATABASE app TO writer WITH GRANT OPTION;
        """

    private static let app = #"""
        CREATE EXTENSION pg_trgm; CREATE EXTENSION hstore;
        CREATE SCHEMA sales AUTHORIZATION app_owner; CREATE SCHEMA "odd ""schema";
        CREATE DOMAIN sales.positive AS int CHECK (VALUE > 0);
        CREATE TYPE sales.state AS ENUM ('new', 'done');
        CREATE TABLE sales.customer (id serial PRIMARY KEY, name text NOT NULL, tags hstore,
            lower_name text GENERATED ALWAYS AS (lower(name)) STORED);
        INSERT INTO sales.customer (name, tags) SELECT 'Name ' || i, hstore('k', i::text) FROM generate_series(1, 500) i;
        CREATE INDEX ON sales.customer USING gin (name gin_trgm_ops);
        CREATE TABLE sales.item (id bigint GENERATED ALWAYS AS IDENTITY (INCREMENT 10), customer int
            REFERENCES sales.customer, amount sales.positive, state sales.state DEFAULT 'new');
        INSERT INTO sales.item (customer, amount) SELECT 1 + i % 500, 1 + i FROM generate_series(1, 1000) i;
        ALTER TABLE sales.item ADD CONSTRAINT late CHECK (amount < 100000) NOT VALID;
        CREATE TABLE public.event (at date NOT NULL, what text) PARTITION BY RANGE (at);
        CREATE TABLE public.event_2025 PARTITION OF public.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
        CREATE TABLE public.event_rest PARTITION OF public.event DEFAULT;
        CREATE INDEX ON public.event (at);
        INSERT INTO public.event SELECT '2025-01-01'::date + i, 'e' || i FROM generate_series(0, 799) i;
        CREATE TABLE public.parent (a int); CREATE TABLE public.child (b int) INHERITS (public.parent);
        INSERT INTO public.parent VALUES (1); INSERT INTO public.child VALUES (2, 3), (4, 5);
        CREATE SEQUENCE public.never; CREATE SEQUENCE public.down INCREMENT -5 MAXVALUE 1000 START 900;
        SELECT nextval('public.down'), nextval('public.down');
        CREATE UNLOGGED TABLE public.quick (a int); INSERT INTO public.quick VALUES (7);
        CREATE TABLE "odd ""schema"."Ta.ble" ("Co l" text, nothing int); INSERT INTO "odd ""schema"."Ta.ble" VALUES ('✓', NULL);
        CREATE VIEW sales.big AS SELECT * FROM sales.item WHERE amount > 900;
        CREATE MATERIALIZED VIEW sales.total AS SELECT state, sum(amount) FROM sales.item GROUP BY state;
        CREATE MATERIALIZED VIEW sales.later AS SELECT 1 AS one WITH NO DATA;
        CREATE FUNCTION sales.stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := trim(NEW.name); RETURN NEW; END $$;
        CREATE TRIGGER stamp BEFORE INSERT ON sales.customer FOR EACH ROW EXECUTE FUNCTION sales.stamp();
        ALTER TABLE sales.customer ENABLE ROW LEVEL SECURITY; ALTER TABLE sales.customer FORCE ROW LEVEL SECURITY;
        CREATE POLICY own ON sales.customer TO reader USING (name LIKE 'Name 1%');
        CREATE FUNCTION public.noted() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
        CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION public.noted();
        GRANT USAGE ON SCHEMA sales TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA sales TO reader;
        GRANT UPDATE (name) ON sales.customer TO writer;
        ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA sales GRANT SELECT ON TABLES TO reader;
        ALTER TABLE sales.item OWNER TO app_owner; ALTER TABLE sales.customer OWNER TO app_owner;
        COMMENT ON TABLE sales.item IS 'items; with '' quotes'; COMMENT ON COLUMN sales.item.amount IS 'how much';
        SELECT lo_create(4711), lo_put(4711, 0, decode(repeat('00ff10', 5000), 'hex'));
        SELECT lo_from_bytea(0, 'second'); COMMENT ON LARGE OBJECT 4711 IS 'a blob';
        CREATE STATISTICS sales.together ON customer, state FROM sales.item;
        CREATE PUBLICATION all_items FOR TABLE sales.item WITH (publish = 'insert');
        """#
}
