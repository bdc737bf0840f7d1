-- SPDX-License-Identifier: Apache-2.0
SELECT 'documents', count(*), sum(changed), sum(length(body)) FROM documents;
SELECT 'hits', count(*) FROM search WHERE search MATCH 'recovery';
PRAGMA integrity_check;
