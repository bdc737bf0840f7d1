# SPDX-License-Identifier: Apache-2.0
"""Contents of PostgreSQL and Redis, and what a night changes in them: one row in a hundred."""

import random
import subprocess

SEED = "salvor"

CREATE = """
CREATE TABLE accounts (id int PRIMARY KEY, branch int NOT NULL, balance int NOT NULL, filler text NOT NULL);
INSERT INTO accounts SELECT i, i % 97, 0, repeat(' ', 84) FROM generate_series(1, {accounts}) i;
CREATE TABLE documents (id int PRIMARY KEY, changed timestamptz NOT NULL, body jsonb NOT NULL, words text NOT NULL);
INSERT INTO documents
SELECT i, timestamptz '2026-01-01Z' + i * interval '1 second',
       jsonb_build_object('order', i, 'customer', md5(i::text), 'state', (ARRAY['open', 'paid', 'sent'])[1 + i % 3],
                          'lines', (SELECT jsonb_agg(jsonb_build_object('sku', md5((i * k)::text), 'amount', k)) FROM generate_series(1, 1 + i % 8) k)),
       (SELECT string_agg(substr('remember restore recover archive bundle promise segment window', 1 + (i * k) % 40, 9), ' ')
        FROM generate_series(1, 30 + i % 40) k)
FROM generate_series(1, {documents}) i;
CREATE INDEX ON documents USING gin (body);
ANALYZE;
"""

NIGHT = """
UPDATE accounts SET balance = balance + id % 977 WHERE id % 100 = 7;
UPDATE documents SET words = words || ' changed', body = jsonb_set(body, '{{state}}', '"sent"') WHERE id % 100 = 3;
DELETE FROM documents WHERE id % 2000 = 11;
INSERT INTO documents SELECT id + {documents}, changed, body, words FROM documents WHERE id % 2000 = 5;
"""


class Databases:
    def __init__(self, scale, redis_port):
        self.numbers = {"accounts": round(4_000_000 * scale), "documents": round(200_000 * scale)}
        self.keys = round(500_000 * scale)
        self.redis_port = redis_port

    def build(self):
        subprocess.run(["createdb", "bench"], check=True)
        self._sql(CREATE)
        self._redis(range(self.keys), "first")

    def change(self):
        self._sql(NIGHT)
        self._redis(range(0, self.keys, 100), "night")

    def _sql(self, text):
        subprocess.run(
            ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "bench"], input=text.format(**self.numbers), text=True, check=True)

    def _redis(self, indexes, salt):
        pipe = subprocess.Popen(
            ["redis-cli", "-p", str(self.redis_port), "--pipe"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for index in indexes:
            rng = random.Random(f"{SEED}/{salt}/{index}")
            key = f"session:{index:08d}"
            value = f'{{"user": {rng.getrandbits(24)}, "token": "{rng.getrandbits(128):032x}", "page": "/a/{index % 300}", "note": "{"x" * (index % 90)}"}}'
            pipe.stdin.write(f"*3\r\n$3\r\nSET\r\n${len(key)}\r\n{key}\r\n${len(value)}\r\n{value}\r\n".encode())
        pipe.stdin.close()
        if pipe.wait() != 0:
            raise RuntimeError("redis-cli --pipe failed")
