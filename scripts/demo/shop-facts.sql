-- SPDX-License-Identifier: Apache-2.0
-- What must be the same before the disaster and after the recovery: counts and digests, independent of row order.
\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
SELECT 'customers', count(*), md5(string_agg(c::text, '|' ORDER BY id)) FROM crm.customers c;
SELECT 'products', count(*), md5(string_agg(sku || title || price, '|' ORDER BY sku)) FROM sales.products;
SELECT 'orders', count(*), md5(string_agg(o::text, '|' ORDER BY id, placed)) FROM sales.orders o;
SELECT 'audit', count(*), md5(string_agg(l::text, '|' ORDER BY l::text)) FROM "Audit Trail"."Log Entries" l;
SELECT 'turnover', count(*), sum(total) FROM sales.turnover;
SELECT 'sheets', count(*), md5(string_agg(md5(lo_get(sheet)), '|' ORDER BY sku)) FROM sales.products WHERE sheet IS NOT NULL;
SELECT 'next order', last_value FROM sales.order_numbers;
SELECT 'grants', md5(string_agg(grantee || table_schema || table_name || privilege_type, '|'
    ORDER BY grantee, table_schema, table_name, privilege_type))
FROM information_schema.role_table_grants WHERE table_schema IN ('sales', 'crm');
SELECT 'owner', pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database();
