#!/usr/bin/env python3
"""Accounts and QOS for the SLURM of one folder: MariaDB and slurmdbd beside its daemons, on loopback.

::

    apt-get install --no-install-recommends mariadb-server slurmdbd
    tools/slurm_accounts.py start /tmp/cluster     of which tools/slurm_cluster.py start was called
    tools/slurm_accounts.py stop /tmp/cluster      before tools/slurm_cluster.py stop

Rule: the user who starts it belongs to the accounts ``team``, whose jobs have no more than ``CPUS``
processors in all, and ``small``, and not to ``others``. ``team`` has a choice of QOS: ``normal``, ``single``
(one job at a time, two in the queue), ``brief`` (jobs of more than five minutes never start) and ``strict``
(jobs of more than five minutes, or of more than two processors, are refused).
"""

from __future__ import annotations

import argparse
import getpass
import os
import signal
import subprocess
import sys
from pathlib import Path

from slurm_cluster import Cluster, program, quiet_ports

#: Processors that all jobs of the account may have at one time.
CPUS = 6
_DBD = """\
AuthType=auth/munge
AuthInfo={folder}/munge/socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser={user}
PidFile={folder}/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
"""
_CONF = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge/socket
AccountingStorageEnforce=associations,limits,qos
"""
_SETTINGS = (
    "add cluster trialjob",
    "add qos single MaxJobsPerUser=1 MaxSubmitJobsPerUser=2 Flags=DenyOnLimit",
    "add qos brief MaxWall=00:05:00",
    "add qos strict MaxWall=00:05:00 MaxTRESPerJob=cpu=2 Flags=DenyOnLimit",
    f"add account team GrpTRES=cpu={CPUS}",
    "add account small",
    "add account others",
    "add user {user} account=team qos=normal,single,brief,strict defaultqos=normal",
    "add user {user} account=small qos=normal",
    "modify user {user} set defaultaccount=team",
)


def missing() -> list[str]:
    """The programs that accounts need and this machine lacks."""
    names = ("mariadbd", "mariadb-install-db", "mariadb", "slurmdbd", "sacctmgr")
    return [name for name in names if not program(name)]


class Accounts:
    """The database and slurmdbd of one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._folder = cluster.folder
        self._database: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Have the cluster, which must run, keep accounts. Raises RuntimeError."""
        sql, port = quiet_ports(2)
        self._start_database(sql)
        told = {"folder": self._folder, "user": getpass.getuser(), "port": port, "sql": sql}
        conf = self._folder / "slurmdbd.conf"
        conf.touch(mode=0o600)
        conf.write_text(_DBD.format(**told))
        lines = self._cluster.conf.read_text().splitlines()
        kept = [line for line in lines if not line.startswith("AccountingStorage")]
        self._cluster.conf.write_text("\n".join([*kept, _CONF.format(**told)]))
        subprocess.run([program("slurmdbd")], env=self._environment(), check=True)
        for line in _SETTINGS:  # the first of which is asked again until slurmdbd has made its tables
            words = line.format(**told)
            self._cluster.wait(lambda words=words: self.manage(words), f"sacctmgr {words}")  # type: ignore[misc]
        for name in ("slurmctld", "slurmd"):
            self._cluster.kill(name, signal.SIGTERM)
            self._cluster.launch(name)
        self._cluster.wait(lambda: self._cluster.trouble() == "", "a node that takes jobs")

    def manage(self, line: str) -> bool:
        """Have sacctmgr do something; whether it has, or had been done before."""
        words = ["sacctmgr", "-i", *line.split()]
        done = subprocess.run(words, env=self._environment(), capture_output=True, text=True, check=False)
        return done.returncode == 0 or "already exist" in done.stdout.lower()

    def stop(self) -> None:
        """End both, the database last."""
        for name in ("slurmdbd", "mariadb"):
            place = self._folder / f"{name}.pid"
            if place.exists() and _lives(pid := int(place.read_text())):
                os.kill(pid, signal.SIGTERM)
                self._cluster.wait(lambda pid=pid: not _lives(pid), f"the end of {name}")  # type: ignore[misc]
        if self._database is not None:
            self._database.terminate()  # for one that has not written its number yet
            self._database.wait(60)

    def _start_database(self, port: int) -> None:
        place = self._folder / "db"
        common = ["--no-defaults", f"--user={getpass.getuser()}", f"--datadir={place}/data"]
        where = [f"--socket={place}/sock", f"--port={port}", "--bind-address=127.0.0.1"]
        size = ["--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"]
        with (self._folder / "log/mariadb.log").open("wb") as log:
            if not place.exists():
                place.mkdir()
                more = ["--auth-root-authentication-method=normal", "--skip-test-db"]
                made = [program("mariadb-install-db"), *common, *more]
                if subprocess.run(made, stdout=log, stderr=log, check=False).returncode:
                    raise RuntimeError((self._folder / "log/mariadb.log").read_text(errors="replace"))
            line = [program("mariadbd"), *common, *where, *size, f"--pid-file={self._folder}/mariadb.pid"]
            self._database = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        user = "create user if not exists slurm@127.0.0.1 identified by 'slurm'; "
        user += "grant all on slurm_acct_db.* to slurm@127.0.0.1"
        asked = [program("mariadb"), "--no-defaults", where[0], "-u", "root", "-e", user]
        self._cluster.wait(
            lambda: subprocess.run(asked, capture_output=True, check=False).returncode == 0, "the database"
        )

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self._cluster.conf)}


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def main() -> int:
    parser = argparse.ArgumentParser(description="Accounts for the SLURM of one folder.")
    parser.add_argument("action", choices=("start", "stop"))
    parser.add_argument("folder", type=Path)
    told = parser.parse_args()
    if lacking := missing():
        sys.stderr.write(f"{', '.join(lacking)}: not here; apt-get install mariadb-server slurmdbd\n")
        return 2
    accounts = Accounts(Cluster(told.folder))
    if told.action == "start":
        accounts.start()
    else:
        accounts.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
