# SPDX-License-Identifier: Apache-2.0
"""A SeaweedFS with its S3 gateway on this host, and what it was asked."""

import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

KEY, SECRET, NAME = "bench", "bench-secret", "bench"
PORTS = ["s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
         "filer.port.grpc", "admin.port", "admin.port.grpc", "metricsPort"]


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Bucket:
    def __init__(self, work, program, checks_clocks=True):
        self.folder = f"{work}/bucket"
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(f"{self.folder}/data")
        ports = dict(zip(PORTS, free_ports(len(PORTS))))
        self.url, self.metrics = f"http://127.0.0.1:{ports['s3.port']}", f"http://127.0.0.1:{ports['metricsPort']}/metrics"
        with open(f"{self.folder}/s3.json", "w") as file:
            file.write(f'{{"identities": [{{"name": "bench", "credentials": [{{"accessKey": "{KEY}", "secretKey": "{SECRET}"}}], '
                       '"actions": ["Admin", "Read", "Write", "List", "Tagging"]}]}')
        self.environment = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": "us-east-1"}
        self.log = open(f"{self.folder}/log", "w")
        self.process = subprocess.Popen(
            [program, "-logtostderr=true", "mini", f"-dir={self.folder}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false",
             "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=0"]
            # Without identities it does not look at signatures, nor at the time in them.
            + ([f"-s3.config={self.folder}/s3.json"] if checks_clocks else [])
            + [f"-{name}={port}" for name, port in ports.items()],
            stdout=self.log, stderr=self.log)
        self._make()

    def _curl(self, *arguments):
        """A signed request; the secret goes through a file of options."""
        return subprocess.run(
            ["curl", "--silent", "--fail", "--config", "-", "--aws-sigv4", "aws:amz:us-east-1:s3"] + list(arguments),
            input=f'user = "{KEY}:{SECRET}"\n', capture_output=True, text=True)

    def _make(self):
        for _ in range(120):
            if self._curl("--request", "PUT", f"{self.url}/{NAME}").returncode == 0:
                return
            time.sleep(0.5)
        raise RuntimeError(f"weed does not answer; see {self.folder}/log")

    def keys(self, prefix):
        """Every object below a prefix."""
        keys, last = [], ""
        while True:
            quoted = [urllib.parse.quote(text, safe="") for text in (prefix, last)]
            text = self._curl(f"{self.url}/{NAME}?list-type=2&prefix={quoted[0]}&start-after={quoted[1]}").stdout
            page = re.findall(r"<Key>([^<]*)</Key>", text)
            if "<ListBucketResult" not in text:
                raise RuntimeError(f"the bucket does not list: {text[:300]}")
            if not page:
                return keys
            keys += page
            last = page[-1]

    def asked(self):
        """Requests so far, and bytes moved both ways."""
        try:
            with urllib.request.urlopen(self.metrics, timeout=5) as reply:
                text = reply.read().decode()
        except urllib.error.URLError:
            return 0, 0
        requests = sum(float(value) for value in re.findall(r"^SeaweedFS_s3_request_total\{[^}]*\} (\S+)", text, re.M))
        moved = re.findall(r"^SeaweedFS_s3_bucket_traffic_(?:received|sent)_bytes_total\{[^}]*\} (\S+)", text, re.M)
        return int(requests), int(sum(float(value) for value in moved))

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
