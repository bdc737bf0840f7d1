-- SPDX-License-Identifier: Apache-2.0
-- What a day changes: about one row in a hundred.
\set ON_ERROR_STOP on
\set QUIET on
UPDATE sales.orders SET state = 'paid' WHERE id % 150 = 7;
UPDATE crm.customers SET profile = jsonb_set(profile, '{score}', '1001') WHERE id % 120 = 3;
INSERT INTO sales.orders (placed, customer, sku, amount)
SELECT timestamptz '2026-11-20Z' + i * interval '1 minute', 1 + i, 'SKU-00001', 1 FROM generate_series(1, 300) i;
DELETE FROM "Audit Trail"."Log Entries" WHERE at < timestamptz '2026-01-01 02:00Z';
REFRESH MATERIALIZED VIEW sales.turnover;
