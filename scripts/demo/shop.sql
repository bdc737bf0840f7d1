-- SPDX-License-Identifier: Apache-2.0
-- The demonstration's main database: several schemas, roles and grants, partitions, large objects, functions, views.
\set ON_ERROR_STOP on
\set QUIET on
SELECT setseed(0.42) \g /dev/null

CREATE ROLE shop_owner NOLOGIN;
CREATE ROLE shop_app LOGIN PASSWORD 'demonstration' CONNECTION LIMIT 50;
CREATE ROLE shop_reader LOGIN PASSWORD 'demonstration';
GRANT shop_owner TO shop_app;
ALTER ROLE shop_reader SET statement_timeout = '5min';
ALTER DATABASE shop OWNER TO shop_owner;
SET ROLE shop_owner;

CREATE SCHEMA sales;
CREATE SCHEMA crm;
CREATE SCHEMA "Audit Trail";

CREATE TYPE sales.state AS ENUM ('open', 'paid', 'sent', 'returned');
CREATE DOMAIN crm.email AS text CHECK (VALUE LIKE '%@%');

CREATE TABLE crm.customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email crm.email NOT NULL UNIQUE,
    joined timestamptz NOT NULL, profile jsonb NOT NULL DEFAULT '{}', tags text[] NOT NULL DEFAULT '{}'
);
INSERT INTO crm.customers (name, email, joined, profile, tags)
SELECT 'Customer ' || i || ' Ünïcødé', 'c' || i || '@example.com', timestamptz '2024-01-01Z' + i * interval '7 minutes',
       jsonb_build_object('newsletter', i % 3 = 0, 'note', md5(i::text), 'score', i % 1000), ARRAY['t' || i % 9, 't' || i % 5]
FROM generate_series(1, 20000) i;
CREATE INDEX ON crm.customers USING gin (profile);

CREATE TABLE sales.products (sku text PRIMARY KEY, title text NOT NULL, price numeric(10, 2) NOT NULL, sheet oid);
INSERT INTO sales.products
SELECT 'SKU-' || lpad(i::text, 5, '0'), 'Product ' || i, (i * 37 % 9973) / 100.0 FROM generate_series(1, 2000) i;

CREATE TABLE sales.orders (
    id bigint NOT NULL, placed timestamptz NOT NULL, customer bigint NOT NULL REFERENCES crm.customers,
    sku text NOT NULL REFERENCES sales.products, amount int NOT NULL CHECK (amount > 0),
    state sales.state NOT NULL DEFAULT 'open', comment text, PRIMARY KEY (id, placed)
) PARTITION BY RANGE (placed);
CREATE TABLE sales.orders_2025 PARTITION OF sales.orders FOR VALUES FROM ('2025-01-01Z') TO ('2026-01-01Z');
CREATE TABLE sales.orders_2026 PARTITION OF sales.orders FOR VALUES FROM ('2026-01-01Z') TO ('2027-01-01Z');
CREATE SEQUENCE sales.order_numbers OWNED BY sales.orders.id;
ALTER TABLE sales.orders ALTER id SET DEFAULT nextval('sales.order_numbers');
INSERT INTO sales.orders (placed, customer, sku, amount, state, comment)
SELECT timestamptz '2025-01-01Z' + i * interval '13 minutes', 1 + i * 7919 % 20000,
       'SKU-' || lpad((1 + i * 31 % 2000)::text, 5, '0'), 1 + i % 5, (enum_range(NULL::sales.state))[1 + i % 4],
       CASE WHEN i % 11 = 0 THEN repeat(md5(i::text) || ' ', 4) END
FROM generate_series(1, 60000) i;

CREATE TABLE "Audit Trail"."Log Entries" (at timestamptz, who text, what text, "Weird ""Column""" bytea);
INSERT INTO "Audit Trail"."Log Entries"
SELECT timestamptz '2026-01-01Z' + i * interval '1 minute', 'user' || i % 40, E'line one\nline\ttwo \\ ' || i,
       decode(md5(i::text), 'hex') FROM generate_series(1, 15000) i;

CREATE VIEW sales.open_orders AS SELECT * FROM sales.orders WHERE state = 'open';
CREATE MATERIALIZED VIEW sales.turnover AS
SELECT date_trunc('month', placed) AS month, sum(amount * price) AS total
FROM sales.orders JOIN sales.products USING (sku) GROUP BY 1;
CREATE FUNCTION sales.audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO "Audit Trail"."Log Entries" VALUES (clock_timestamp(), current_user, TG_OP || ' ' || NEW.id, NULL);
    RETURN NEW;
END $$;
CREATE TRIGGER audited AFTER UPDATE ON sales.orders FOR EACH ROW EXECUTE FUNCTION sales.audit();
COMMENT ON TABLE sales.orders IS 'One row an order; partitioned by year';

-- Data sheets as large objects, referred to by products.
DO $$
DECLARE sheet oid; i int;
BEGIN
    FOR i IN 1..24 LOOP
        SELECT lo_from_bytea(0, convert_to(repeat('sheet ' || i || ' ', 4000), 'UTF8')) INTO sheet;
        UPDATE sales.products SET sheet = lo.sheet FROM (SELECT sheet) lo WHERE sku = 'SKU-' || lpad(i::text, 5, '0');
    END LOOP;
END $$;

GRANT USAGE ON SCHEMA sales, crm TO shop_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA sales, crm TO shop_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA sales GRANT SELECT ON TABLES TO shop_reader;
RESET ROLE;
ANALYZE;
