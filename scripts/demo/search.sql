-- SPDX-License-Identifier: Apache-2.0
-- The demonstration's search index: SQLite with full-text search, in WAL mode.
PRAGMA journal_mode = WAL;
CREATE TABLE documents (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT NOT NULL, changed INTEGER NOT NULL);
CREATE VIRTUAL TABLE search USING fts5 (title, body, content = 'documents', content_rowid = 'id');
CREATE TRIGGER indexed AFTER INSERT ON documents BEGIN
    INSERT INTO search (rowid, title, body) VALUES (new.id, new.title, new.body);
END;
WITH RECURSIVE numbers (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM numbers WHERE i < 20000)
INSERT INTO documents
SELECT i, 'Document ' || i,
       'words number ' || i || CASE WHEN i % 97 = 0 THEN ' about recovery' ELSE ' about ' || (i * 7919 % 1000) END
       || printf(' %08x %08x', i * 2654435761 % 4294967296, i * 40503 % 65536), 1700000000 + i FROM numbers;
