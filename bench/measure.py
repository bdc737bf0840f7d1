# SPDX-License-Identifier: Apache-2.0
"""Runs a shell command and says what it cost."""

import ctypes
import json
import os
import platform
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# kcmp(2), which glibc does not wrap.
KCMP = {"x86_64": 312, "aarch64": 272}.get(platform.machine())
KCMP_VM = 1
LIBC = ctypes.CDLL(None)


def _stat(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()


def _processes():
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                found[int(name)] = _stat(name)
            except (OSError, IndexError):
                continue  # ended meanwhile
    return found


def _below(root, processes):
    """`root` and all its descendants, also those in sessions of their own."""
    below, grew = {root}, True
    while grew:
        more = {pid for pid, stat in processes.items() if int(stat[1]) in below} - below
        grew = bool(more)
        below |= more
    return below


def _tree(pid):
    """`pid` and its descendants, without a look at all other processes of the machine."""
    found = [pid]
    for parent in found:
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children") as file:
                    found += [int(child) for child in file.read().split()]
        except OSError:
            continue  # ended meanwhile
    return found


def _borrows(pid):
    """Whether a process still runs in its parent's memory, as a child does between vfork and exec."""
    try:
        return KCMP is not None and LIBC.syscall(KCMP, pid, int(_stat(pid)[1]), KCMP_VM, 0, 0) == 0
    except (OSError, IndexError):
        return False  # ended meanwhile


def _proportional(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("Pss:")), 0)
    except OSError:
        return 0  # ended meanwhile


class Memory(threading.Thread):
    """Samples the memory of a process tree. Proportional (Pss): a page that several share, as parent and child do between
    fork and exec, counts once. Between vfork and exec they have one memory, of which each would show all."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.stopped = pid, 0, threading.Event()

    def run(self):
        while not self.stopped.wait(0.2):
            # Asked before the size: who leaves its parent's memory in between is small.
            own = [pid for pid in _tree(self.pid) if not _borrows(pid)]
            self.peak = max(self.peak, sum(map(_proportional, own)))


class Measure:
    def __init__(self, results, servers):
        self.results = results
        self.servers = servers  # pids of server processes, whose children count with them

    def _server_seconds(self):
        processes, total = _processes(), 0
        for root in self.servers:
            for pid in _below(root, processes):
                if pid in processes:
                    # Time of ended and reaped children is in their parent's figures.
                    total += sum(int(field) for field in (processes[pid][11:15] if pid == root else processes[pid][11:13]))
        return total / TICKS

    def run(self, concern, step, tool, command, round_number, stored=None, environment=None, bucket=None):
        served, before = self._server_seconds(), size(stored)
        asked = bucket.asked() if bucket else None
        # A tool that makes sure of its data must not wait for what the one before it left unwritten.
        os.sync()
        begun = time.monotonic()
        child = subprocess.Popen(
            ["bash", "-o", "pipefail", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True, env={**os.environ, **(environment or {})})
        memory = Memory(child.pid)
        memory.start()
        tail = child.stderr.read()[-2000:]
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - begun
        child.returncode = os.waitstatus_to_exitcode(status)
        memory.stopped.set()
        memory.join()
        row = {
            "concern": concern, "step": step, "tool": tool, "round": round_number, "wall": round(wall, 3),
            "cpu": round(usage.ru_utime + usage.ru_stime, 3), "memory": memory.peak,
            "servers": round(self._server_seconds() - served, 2), "status": child.returncode,
        }
        if stored:
            row["added"] = size(stored) - before
        if bucket:
            row["requests"], row["moved"] = (after - before for after, before in zip(bucket.asked(), asked))
        with open(self.results, "a") as file:
            file.write(json.dumps(row) + "\n")
        print(f"{concern:6} {step:12} {tool:28} round {round_number}  {wall:7.2f} s  {row['cpu']:7.2f} CPU s  "
              f"{memory.peak / 2**20:6.0f} MiB  {row.get('added', row.get('moved', 0)) / 1e6:8.1f} MB  {row.get('requests', '')}", flush=True)
        if child.returncode != 0:
            print(tail.decode(errors="replace"), flush=True)
        return child.returncode == 0


def size(path):
    if not path or not os.path.exists(path):
        return 0
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)
