# SPDX-License-Identifier: Apache-2.0
"""Each tool's commands. A tool is a class with `name`, `repository` and a command for each step; None where it has none."""

import os
import shutil
import subprocess

SEAL = "gpg --batch --quiet --yes --trust-model always --compress-algo none --encrypt -r owner@example.com"
OPEN = "gpg --batch --quiet --decrypt"
PACK = "zstd -q -3 -T0 -c"
UNPACK = "zstd -q -d -c"


class Tool:
    def __init__(self, name, scene):
        self.name, self.scene = name, scene
        self.repository = f"{scene.work}/repositories/{name.replace(' ', '-').replace('|', '-')}"
        self.environment = {"GNUPGHOME": f"{scene.work}/keys"}

    def init(self):
        shutil.rmtree(self.repository, ignore_errors=True)
        os.makedirs(self.repository)

    def _run(self, command):
        subprocess.run(["bash", "-c", command], check=True, stdout=subprocess.DEVNULL, env={**os.environ, **self.environment})

    night = dump = verify = restore = one = None


class Pipeline(Tool):
    """What runbooks do: tar, zstd, gpg; everything again each night."""

    def __init__(self, scene):
        super().__init__("tar|zstd|gpg", scene)
        self.last = f"$(ls {self.repository}/*.gpg | tail -n 1)"
        parent, name = os.path.split(scene.tree)
        self.backup = f"tar -C {parent} -cf - {name} | {PACK} | {SEAL} > {self.repository}/$(date +%s%N).gpg"
        self.verify = f"{OPEN} {self.last} | {UNPACK} | tar -tf -"
        self.restore = f"{OPEN} {self.last} | {UNPACK} | tar -C {scene.target} -xf -"
        self.one = f"{OPEN} {self.last} | {UNPACK} | tar -C {scene.target} -xf - {name}/{scene.one}"
        files = f"tar -C {parent} -cf - {name} | {PACK} | {SEAL} > {self.repository}/files"
        databases = f"pg_dump bench | {PACK} | {SEAL} > {self.repository}/postgresql"
        cache = f"redis-cli -p {scene.redis_port} --rdb - 2>/dev/null | {PACK} | {SEAL} > {self.repository}/redis"
        self.dump = f"pg_dump bench | {PACK} | {SEAL} > {self.repository}/$(date +%s%N).gpg"
        self.night = f"rm -f {self.repository}/*; ({files}) & a=$!; ({databases}) & b=$!; ({cache}) & c=$!; wait $a && wait $b && wait $c"


class IncrementalTar(Tool):
    def __init__(self, scene):
        super().__init__("tar -g|zstd|gpg", scene)
        parent, name = os.path.split(scene.tree)
        each = f"for a in {self.repository}/*.gpg; do {OPEN} $a | {UNPACK} |"
        self.backup = (f"tar -C {parent} --listed-incremental={self.repository}/state -cf - {name} | {PACK} | {SEAL} "
                       f"> {self.repository}/$(date +%s%N).gpg")
        self.verify = f"{each} tar -tf - || exit 1; done"
        self.restore = f"{each} tar -C {scene.target} --listed-incremental=/dev/null -xf - || exit 1; done"


class Restic(Tool):
    def __init__(self, scene):
        super().__init__("restic", scene)
        self.environment |= {"RESTIC_PASSWORD": "bench", "RESTIC_CACHE_DIR": f"{scene.work}/cache/restic"}
        restic = f"restic -q -r {self.repository}"
        parent, name = os.path.split(scene.tree)
        self.backup = f"cd {parent} && {restic} backup {name}"
        self.verify = f"{restic} check --read-data"
        self.restore = f"{restic} restore latest --target {scene.target}"
        self.one = f"{restic} restore latest --target {scene.target} --include {name}/{scene.one}"
        self.dump = f"pg_dump bench | {restic} backup --stdin --stdin-filename bench.sql"
        self.night = (f"{self.backup} && {self.dump} && "
                      f"redis-cli -p {scene.redis_port} --rdb - 2>/dev/null | {restic} backup --stdin --stdin-filename dump.rdb")

    def init(self):
        super().init()
        shutil.rmtree(self.environment["RESTIC_CACHE_DIR"], ignore_errors=True)
        self._run(f"restic -q -r {self.repository} init")


class Borg(Tool):
    def __init__(self, scene):
        super().__init__("borg", scene)
        self.environment |= {"BORG_PASSPHRASE": "bench", "BORG_BASE_DIR": f"{scene.work}/cache/borg",
                             "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes"}
        self.borg = f"{scene.work}/venv/bin/borg"
        parent, name = os.path.split(scene.tree)
        last = f"{self.repository}::$({self.borg} list --last 1 --short {self.repository})"
        create = f"{self.borg} create -C zstd,3 {self.repository}::"
        self.backup = f"cd {parent} && {create}{{now:%s%f}} {name}"
        self.verify = f"{self.borg} check --verify-data {self.repository}"
        self.restore = f"cd {scene.target} && {self.borg} extract {last}"
        self.one = f"cd {scene.target} && {self.borg} extract {last} {name}/{scene.one}"
        self.dump = f"pg_dump bench | {create}p{{now:%s%f}} -"
        self.night = (f"{self.backup} && {self.dump} && "
                      f"redis-cli -p {scene.redis_port} --rdb - 2>/dev/null | {create}r{{now:%s%f}} -")

    def init(self):
        super().init()
        shutil.rmtree(self.environment["BORG_BASE_DIR"], ignore_errors=True)
        os.rmdir(self.repository)
        self._run(f"{self.borg} init -e repokey-blake2 {self.repository}")


class Borgmatic(Borg):
    """Borg with the orchestrator that most people put around it; only the whole night differs."""

    def __init__(self, scene):
        super().__init__(scene)
        self.name = "borgmatic"
        self.repository = f"{scene.work}/repositories/borgmatic"
        self.configuration = f"{scene.work}/borgmatic.yaml"
        self.night = (f"redis-cli -p {scene.redis_port} --rdb {scene.work}/dump.rdb && "
                      f"PATH={scene.work}/venv/bin:$PATH borgmatic -c {self.configuration} create -v 0")
        self.backup = self.dump = None

    def init(self):
        super().init()
        with open(self.configuration, "w") as file:
            file.write(
                f"source_directories: [{self.scene.tree}, {self.scene.work}/dump.rdb]\n"
                f"repositories: [{{path: {self.repository}}}]\n"
                "compression: zstd,3\nencryption_passphrase: bench\n"
                f"borg_base_directory: {self.environment['BORG_BASE_DIR']}\n"
                f"user_runtime_directory: {self.scene.work}/borgmatic\nuser_state_directory: {self.scene.work}/borgmatic\n"
                "relocated_repo_access_is_ok: true\n"
                # The socket's folder comes from PGHOST: given as hostname, borgmatic would make it part of its own paths.
                "postgresql_databases: [{name: bench, username: postgres, password: demonstration}]\n")


class Salvor(Tool):
    """`concern` names its plan; `sources` are the lines of its sources."""

    def __init__(self, scene, concern, sources, store=None, name="salvor"):
        super().__init__(name, scene)
        self.sources, self.store = sources, store or f"store: 'file://{self.repository}'"
        self.plan = f"{scene.work}/salvor-{concern}.yaml"
        self.state = f"{scene.work}/state-{concern}"
        salvor = f"{scene.salvor} %s --config {self.plan} --state-dir {self.state} --quiet"
        self.backup = self.dump = self.night = salvor % "backup"
        self.verify = salvor % "validate-backup latest --level contents"
        self.restore = salvor % f"restore latest --to-directory {scene.target}"
        self.one = salvor % f"restore latest --include {scene.tree}/{scene.one} --to-directory {scene.target}"
        self._init = salvor % "init"

    def init(self):
        super().init()
        shutil.rmtree(self.state, ignore_errors=True)
        key = subprocess.run(
            ["gpg", "--homedir", f"{self.scene.work}/keys", "--batch", "--with-colons", "--list-keys", "owner@example.com"],
            check=True, capture_output=True, text=True).stdout
        fingerprint = next(line.split(":")[9] for line in key.splitlines() if line.startswith("fpr"))
        with open(self.plan, "w") as file:
            file.write(f"plan: bench\nrepository: {{{self.store}}}\n"
                       f"encryption: {{recipients: [{fingerprint}], signer: {fingerprint}}}\nsources:\n" + "\n".join(self.sources) + "\n")
        self._run(self._init)


def files_source(scene):
    return f"  - {{name: files, adapter: files, paths: [{scene.tree}]}}"


def postgresql_source():
    return ("  - {name: database, adapter: postgresql, databases: [bench], "
            f"connection: {{host: {os.environ['PGHOST']}, user: postgres, password: 'env:PGPASSWORD'}}}}")


def redis_source(scene):
    return ("  - {name: cache, adapter: redis, "
            f"connection: {{host: 127.0.0.1, port: {scene.redis_port}, password: 'env:REDISCLI_AUTH'}}}}")


class PipelineToBucket(Pipeline):
    def __init__(self, scene):
        super().__init__(scene)
        parent, name = os.path.split(scene.tree)
        self.environment |= scene.bucket.environment
        aws = f"{scene.work}/venv/bin/aws --endpoint-url {scene.bucket.url} s3 cp --quiet"
        place = "s3://bench/pipeline.gpg"
        # Told the size, it sends 8 MB parts; untold as well, up to 80 GB.
        self.backup = f"tar -C {parent} -cf - {name} | {PACK} | {SEAL} | {aws} - {place}"
        self.restore = f"{aws} {place} - | {OPEN} | {UNPACK} | tar -C {scene.target} -xf -"
        self.one = f"{self.restore} {name}/{scene.one}"


class ResticToBucket(Restic):
    def __init__(self, scene):
        super().__init__(scene)
        self.environment |= scene.bucket.environment
        local, remote = self.repository, f"s3:{scene.bucket.url}/bench/restic"
        for step in ("backup", "restore", "one"):
            setattr(self, step, getattr(self, step).replace(local, remote))
        self.remote = remote

    def init(self):
        Tool.init(self)
        shutil.rmtree(self.environment["RESTIC_CACHE_DIR"], ignore_errors=True)
        self._run(f"{self.scene.work}/venv/bin/aws --endpoint-url {self.scene.bucket.url} s3 rm --quiet --recursive s3://bench/restic; "
                  f"restic -q -r {self.remote} init")


class SalvorToBucket(Salvor):
    def __init__(self, scene):
        self.bucket = scene.bucket
        super().__init__(scene, "s3", [files_source(scene)],
                         f"store: 's3://bench/salvor', s3: {{endpoint: '{scene.bucket.url}', region: us-east-1, addressing: path}}")
        self.environment |= scene.bucket.environment

    def init(self):
        self._run(f"{self.scene.work}/venv/bin/aws --endpoint-url {self.bucket.url} s3 rm --quiet --recursive s3://bench/salvor")
        super().init()
