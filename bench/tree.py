# SPDX-License-Identifier: Apache-2.0
"""A file tree like an application server's, and what a night changes in it.

At scale 1: 60 000 text files of 1 to 50 KB, 40 half-compressible files of 20 MB, 5 incompressible ones of 50 MB; about 1.5 GB.
A night changes 300 files (three of the large ones in 1 % of their 4 KB pages), adds 50 and removes 50, times the scale.
Each file follows from the seed and its own name alone.
"""

import hashlib
import os
import random
import shutil

SEED = "salvor"
EPOCH = 1_760_000_000
PAGE = 4096


def _text(kind, size):
    """A long text of one kind; files are cut out of it."""
    rng = random.Random(f"{SEED}/text/{kind}")
    syllables = "ka lo mi ren tas vor el dun pra shi".split()
    words = ["".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(4000)]
    weights = [1 / (rank + 4) for rank in range(len(words))]
    lines, total = [], 0
    while total < size:
        some = rng.choices(words, weights, k=9)
        number = rng.getrandbits(40)
        if kind == "log":
            line = f"2026-01-{number % 28 + 1:02d}T{number % 24:02d}:{number % 60:02d}:07Z node-{number % 31} {some[0]} id={number:010x} {' '.join(some[1:5])}"
        elif kind == "json":
            line = f'{{"id": {number}, "name": "{some[0]} {some[1]}", "tags": ["{some[2]}", "{some[3]}"], "score": {number % 10000 / 100}}}'
        else:
            line = " ".join(some)
        lines.append(line)
        total += len(line) + 1
    return "\n".join(lines).encode()


class Tree:
    def __init__(self, root, scale=1.0):
        self.root = root
        self.small = round(60_000 * scale)
        self.medium = max(1, round(40 * scale))
        self.large = max(1, round(5 * scale))
        self.night = max(4, round(300 * scale)), max(1, round(50 * scale))
        self._texts = None

    def _name(self, index):
        suffix = ("log", "json", "txt")[index % 3]
        return f"service-{index % 16:02d}/{index // 16 % 40:02d}/{index // 640 % 12:02d}/file-{index:06d}.{suffix}"

    def _small(self, index, salt=""):
        if self._texts is None:
            self._texts = {kind: _text(kind, 4 << 20) for kind in ("log", "json", "txt")}
        text = self._texts[("log", "json", "txt")[index % 3]]
        rng = random.Random(f"{SEED}/{index}/{salt}")
        size = int(1000 * 50 ** (rng.random() ** 2))
        # Several cuts, so that no two files are slices of one another, and a line of its own.
        parts, left = [f"# {index} {rng.getrandbits(64):016x}\n".encode()], size
        while left > 0:
            cut = min(left, rng.randint(300, 3000))
            start = rng.randrange(len(text) - cut)
            parts.append(text[start : start + cut])
            left -= cut
        return b"".join(parts)[:size]

    def _medium(self, index):
        rng = random.Random(f"{SEED}/medium/{index}")
        few = bytes(rng.choices(range(256), [1 / (rank + 1) for rank in range(256)], k=256))
        blocks = []
        for _ in range(20_000_000 // 65_536):
            block = rng.randbytes(65_536)
            blocks.append(block.translate(few) if rng.random() < 0.6 else block)
        return b"".join(blocks)

    def _write(self, name, data, when):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.utime(path, (when, when))

    def build(self):
        shutil.rmtree(self.root, ignore_errors=True)
        for index in range(self.small):
            self._write(self._name(index), self._small(index), EPOCH + index)
        for index in range(self.medium):
            self._write(f"tables/{index:02d}.dat", self._medium(index), EPOCH + index)
        for index in range(self.large):
            self._write(f"media/{index}.bin", random.Random(f"{SEED}/large/{index}").randbytes(50_000_000), EPOCH + index)

    def change(self):
        """A night, in place."""
        rng = random.Random(f"{SEED}/night")
        changed, replaced = self.night
        chosen = rng.sample(range(self.small), changed + replaced)
        for index in chosen[:changed]:
            data = self._small(index)
            middle = len(data) // 2
            self._write(self._name(index), data[:middle] + self._small(index, "night")[:500] + data[middle:], EPOCH + 86_400)
        for index in chosen[changed:]:
            os.unlink(os.path.join(self.root, self._name(index)))
        for index in range(replaced):
            self._write(f"service-00/new/file-{index:04d}.txt", self._small(self.small + index), EPOCH + 86_400)
        for index in range(min(3, self.medium)):
            data = bytearray(self._medium(index))
            for page in rng.sample(range(len(data) // PAGE), len(data) // PAGE // 100):
                data[page * PAGE : page * PAGE + PAGE] = rng.randbytes(PAGE)
            self._write(f"tables/{index:02d}.dat", bytes(data), EPOCH + 86_400)


def digest(root):
    """One SHA-256 over names, sizes and contents below `root`."""
    total = hashlib.sha256()
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                inner = hashlib.file_digest(file, "sha256").hexdigest()
            total.update(f"{os.path.relpath(path, root)} {inner}\n".encode())
    return total.hexdigest()
