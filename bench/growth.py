# SPDX-License-Identifier: Apache-2.0
"""A SQLite database of a given size, half of it compressible, and one row in a hundred changed."""

import os
import random
import sqlite3

ROW = 16384


def grow(path, gigabytes):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        os.unlink(path)
    base = sqlite3.connect(path)
    base.execute("PRAGMA journal_mode = OFF")
    base.execute("PRAGMA synchronous = OFF")
    base.execute("CREATE TABLE parts (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")
    rows = round(gigabytes * 1e9 / ROW)
    base.executemany("INSERT INTO parts VALUES (?, ?)", ((row, _body(row, "first")) for row in range(rows)))
    base.commit()
    base.close()


def change_grown(path):
    base = sqlite3.connect(path)
    last = base.execute("SELECT max(id) FROM parts").fetchone()[0]
    base.executemany("UPDATE parts SET body = ? WHERE id = ?", ((_body(row, "night"), row) for row in range(0, last, 100)))
    base.commit()
    base.close()


def _body(row, salt):
    half = random.Random(f"{salt}/{row}").randbytes(ROW // 2 - 40)
    return half + bytes(ROW // 2 - 40)
