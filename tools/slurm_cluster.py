#!/usr/bin/env python3
"""A whole SLURM on one machine, in one folder: munged, slurmctld and slurmd on loopback.

::

    apt-get install --no-install-recommends slurm-wlm munge
    eval "$(tools/slurm_cluster.py start /tmp/cluster)"     prints: export SLURM_CONF=…
    sbatch --wrap hostname
    tools/slurm_cluster.py stop /tmp/cluster

Rule: no systemd, no cgroups, no database, and nothing outside of the folder. It runs as root or as any user,
whose own all jobs then are. A node claims more processors than the machine may have; the second one, which
only the partition ``several`` has, is a further slurmd.
"""

from __future__ import annotations

import argparse
import getpass
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

#: The daemons, in the order in which they are started; and that of the second node.
DAEMONS = ("munged", "slurmctld", "slurmd")
SECOND = "slurmd2"
#: What tells the daemons' files and ports: the node of a slurmd.
_NODES = {"slurmd": "node1", SECOND: "node2"}
#: Seconds: on a busy machine a daemon needs many to start and to be known to the others.
_PATIENCE = 60.0
_CONF = """\
ClusterName=trialjob
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld_port}
SlurmdPort={slurmd_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0,batch_sched_delay=0
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=2
MinJobAge=300
CompleteWait=0
ReturnToService=2
MessageTimeout=5
SlurmdTimeout=300
MaxJobCount=20000
AccountingStorageType=accounting_storage/none
NodeName=DEFAULT CPUs={slots} CoresPerSocket={slots} RealMemory=100000 State=UNKNOWN
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1
NodeName=node2 Port={second_port} NodeHostname={host} NodeAddr=127.0.0.1 Features=second
PartitionName=main Nodes=node1 Default=YES MaxTime=1-0 PriorityTier=10 PreemptMode=OFF
PartitionName=scavenge Nodes=node1 MaxTime=1-0 PriorityTier=1 PreemptMode=REQUEUE GraceTime=0
PartitionName=short Nodes=node1 MaxTime=2 PriorityTier=10 PreemptMode=OFF
PartitionName=several Nodes=node[1-2] MaxTime=1-0 PriorityTier=10 PreemptMode=OFF
"""


def missing() -> list[str]:
    """The programs that a cluster needs and this machine lacks."""
    names = (*DAEMONS, "sbatch", "squeue", "scancel", "sinfo", "scontrol")
    return [name for name in names if not program(name)]


class Cluster:
    """The daemons of one folder. Each may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.conf = self.folder / "slurm.conf"
        #: How often a daemon was killed. One that is may forget jobs, or show them as running for ever.
        self.kills = 0
        self._asked_anew = -_PATIENCE

    def start(self, slots: int = 8) -> None:
        """Start everything, and return when a job would run. Raises RuntimeError."""
        for name in ("state", "spool/node1", "spool/node2", "log", "munge"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        # Whoever is on the machine may submit jobs.
        self.folder.chmod(0o711)
        (self.folder / "munge").chmod(0o711)
        ctld_port, slurmd_port, second_port = quiet_ports(3)
        self.conf.write_text(
            _CONF.format(
                folder=self.folder,
                host=socket.gethostname().partition(".")[0],
                user=getpass.getuser(),
                slots=slots,
                ctld_port=ctld_port,
                slurmd_port=slurmd_port,
                second_port=second_port,
            )
        )
        for name in DAEMONS:
            self.launch(name)
        self.wait(lambda: self.trouble() == "", "a node that takes jobs")

    def start_second(self) -> None:
        """Start the second node, if it does not run. Raises RuntimeError."""
        self.launch(SECOND)
        self.wait(lambda: self._answers(SECOND), "the second node")

    def _answers(self, name: str) -> bool:
        """Whether slurmctld has a node for one that answers.

        A ping that fails while slurmd is down is told of seconds later, when it has long been up again, and
        the next one comes after minutes. A slurmd that starts tells by itself, and harms no job.
        """
        state = self.ask("sinfo", "-h", "-n", _NODES[name], "-o", "%T ")
        if "*" in state and time.monotonic() > self._asked_anew + _PATIENCE / 6:
            self.kill(name)
            self.launch(name)
            self._asked_anew = time.monotonic()
        return bool(state) and "*" not in state

    def resume(self) -> None:
        """Take a node back that SLURM itself has drained: for a job's number that it gave out twice, say."""
        if "drain" in self.ask("sinfo", "-h", "-n", "node1", "-o", "%T"):
            self.ask("scontrol", "update", "nodename=node1", "state=resume")

    def trouble(self) -> str:
        """Why the node takes no jobs now, or jobs are left in the queue; "" where neither is so."""
        node = self.ask("sinfo", "-h", "-p", "main", "-o", "%T %E").strip()
        left = self.ask("squeue", "-h", "-o", "%A %T %r").strip()
        if node.split(" ")[0] not in {"idle", "mixed", "allocated"}:
            return f"the node is {node or 'not told of'}; in the queue: {left or 'nothing'}"
        return f"in the queue: {left}" if left else ""

    def logs(self, characters: int = 3000) -> str:
        """The end of what each daemon has written."""
        return "\n".join(
            f"== {path.name}\n{path.read_text(errors='replace')[-characters:]}"
            for path in sorted((self.folder / "log").glob("slurm*.log"))
        )

    def launch(self, name: str) -> None:
        """Start one daemon, which goes into the background by itself, and return when it can be reached.

        One that finds its port taken says so in its log only, after its parent has reported success. So it is
        started again until it listens. Raises RuntimeError.
        """
        again = 0.0

        def up() -> bool:
            nonlocal again
            if self.pid(name) is None and time.monotonic() > again:
                self._spawn(name)
                again = time.monotonic() + _PATIENCE / 6
            return self.pid(name) is not None and self._listens(name)

        self.wait(up, f"{name}, listening,")

    def _spawn(self, name: str) -> None:
        subprocess.run(
            [program(name), *self._arguments(name)],
            env={**os.environ, "SLURM_CONF": str(self.conf)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=True,
            timeout=_PATIENCE,
        )

    def _listens(self, name: str) -> bool:
        if name == "munged":
            return (self.folder / "munge/socket").exists()
        with socket.socket() as asked:
            asked.settimeout(1.0)
            key = {"slurmctld": "SlurmctldPort", "slurmd": "SlurmdPort", SECOND: "NodeName=node2 Port"}[name]
            port = re.search(rf"^{key}=(\d+)\b", self.conf.read_text(), re.MULTILINE)
            return port is not None and asked.connect_ex(("127.0.0.1", int(port[1]))) == 0

    def ask(self, *line: str) -> str:
        """What one of SLURM's commands prints; "" when it fails or hangs."""
        try:
            done = subprocess.run(
                line,
                env={**os.environ, "SLURM_CONF": str(self.conf)},
                capture_output=True,
                text=True,
                check=False,
                timeout=_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            return ""
        return done.stdout if done.returncode == 0 else ""

    def pid(self, name: str) -> int | None:
        """The process of a daemon, if it lives."""
        try:
            found = int((self.folder / f"{_NODES.get(name, name)}.pid").read_text())
            return found if _is(found, name) else None
        except (OSError, ValueError):
            return None

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Signal a daemon, and wait until it is gone."""
        self.kills += 1
        if (pid := self.pid(name)) is not None:
            os.kill(pid, number)
            self.wait(lambda: not _is(pid, name), f"the end of {name}")

    def stop(self) -> None:
        """End the jobs and the daemons."""
        self.ask("scancel", "--full", "--user", getpass.getuser())
        deadline = time.monotonic() + _PATIENCE / 3
        while self.ask("squeue", "-h") and time.monotonic() < deadline:
            time.sleep(0.1)
        for name in (SECOND, *reversed(DAEMONS)):
            self.kill(name, signal.SIGTERM)

    def start_anew(self) -> None:
        """Start a cluster that knows of no job, whatever has become of this one. Raises RuntimeError."""
        self._kill_all()
        for name in ("state", "spool", "log"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        self.start()

    def settle(self) -> str:
        """Start what has died, wait for the jobs, and say what keeps the node from the next one, or ""."""
        try:
            for name in DAEMONS:
                self.launch(name)
            self.wait(lambda: self._answers("slurmd") and not self.trouble(), "a node that takes jobs")
        except RuntimeError as error:
            return f"{self.trouble()}\n{error}"
        return ""

    def _kill_all(self) -> None:
        """The daemons, and whatever was started with this configuration: steps and their jobs."""
        ours = f"SLURM_CONF={self.conf}\0".encode()
        for place in Path("/proc").glob("[0-9]*"):
            try:
                if ours in (place / "environ").read_bytes() and int(place.name) != os.getpid():
                    os.kill(int(place.name), signal.SIGKILL)
            except OSError:
                continue
        for name in (*DAEMONS, SECOND):
            self.kill(name)

    def _arguments(self, name: str) -> list[str]:
        if name in _NODES:
            return ["-N", _NODES[name]]
        if name != "munged":
            return []
        munge = self.folder / "munge"
        if not (munge / "key").exists():
            (munge / "key").write_bytes(os.urandom(1024))
            (munge / "key").chmod(0o400)
        places = {"key": munge / "key", "log": self.folder / "log/munged.log", "seed": munge / "seed"}
        files = [f"--{kind}-file={place}" for kind, place in places.items()]
        return ["--force", f"--socket={munge}/socket", f"--pid-file={self.folder}/munged.pid", *files]

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Return when something is so; raises RuntimeError when it takes too long."""
        deadline = time.monotonic() + _PATIENCE
        while not until():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what} has not come in {_PATIENCE:g} s\n{self.logs()}")
            time.sleep(0.05)


def program(name: str) -> str:
    """Where a program is, in an administrator's folders, too; "" when it is not here."""
    name = "slurmd" if name in _NODES else name
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))) or ""


def _is(pid: int, name: str) -> bool:
    """Whether a process is that daemon, and no zombie of it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return f"({'slurmd' if name in _NODES else name})" in stat and stat.rpartition(")")[2].split()[0] != "Z"


def quiet_ports(count: int) -> list[int]:
    """Free ports below those that the system gives to outgoing connections.

    One of those would be taken by somebody's connection, in one of many times, while its daemon is down.
    """
    found: dict[int, socket.socket] = {}
    try:
        while len(found) < count:
            asked = socket.socket()
            port = 15_000 + secrets.randbelow(17_000)
            try:
                asked.bind(("127.0.0.1", port))
                found[port] = asked
            except OSError:
                asked.close()
        return list(found)
    finally:
        for held in found.values():
            held.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="A whole SLURM on one machine, in one folder.")
    parser.add_argument("action", choices=("start", "stop"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--slots", type=int, default=8, help="processors that the node claims to have")
    parser.add_argument("--second", action="store_true", help="start the second node, too")
    told = parser.parse_args()
    if lacking := missing():
        sys.stderr.write(f"{', '.join(lacking)}: not here; apt-get install slurm-wlm munge\n")
        return 2
    cluster = Cluster(told.folder)
    if told.action == "start":
        cluster.start(told.slots)
        if told.second:
            cluster.start_second()
        sys.stdout.write(f"export SLURM_CONF={cluster.conf}\n")
    else:
        cluster.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
