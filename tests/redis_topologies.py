"""Redis in the forms that operators run: behind Sentinel, and as a cluster. Real servers, on free ports."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port
from tests.programs import need
from tests.redis_server import RedisServer, run_redis
from tests.waiting import wait_for

SERVICE = "gateway"
SLOTS = 16384


@dataclass
class Watched:
    """A master and a replica that one Sentinel watches."""

    master: RedisServer
    replica: RedisServer
    sentinel: RedisServer

    @property
    def node(self) -> str:
        return f"127.0.0.1:{self.sentinel.port}"

    def has_copied(self, key: str) -> bool:
        return not self.replica.command("GET", key).startswith("$-1")

    def named_port(self) -> int:
        """Return the port of the master that Sentinel names."""
        return int(self.sentinel.command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE).split("\r\n")[4])


@contextlib.contextmanager
def run_sentinel() -> Generator[Watched]:
    """Run a master, a replica and a Sentinel, whose word alone is enough."""
    with (
        run_redis("--repl-diskless-sync-delay", "0") as master,
        run_redis() as replica,
        tempfile.TemporaryDirectory() as folder,
    ):
        replica.command("REPLICAOF", "127.0.0.1", str(master.port))
        wait_for(lambda: "master_link_status:up" in replica.command("INFO", "replication"), "the replica follows")
        file = Path(folder, "sentinel.conf")
        file.write_text(
            f"dir {folder}\nbind 127.0.0.1\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {master.port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 700\nsentinel failover-timeout {SERVICE} 3000\n"
        )
        with _run(folder, str(file), "--sentinel") as sentinel:
            watched = Watched(master, replica, sentinel)
            wait_for(lambda: str(replica.port) in sentinel.command("SENTINEL", "REPLICAS", SERVICE), "it is found")
            yield watched


@contextlib.contextmanager
def run_cluster() -> Generator[list[RedisServer]]:
    """Run three masters that share the slots."""
    with contextlib.ExitStack() as stack:
        nodes = []
        for _ in range(3):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            words = ["--cluster-enabled", "yes", "--save", "", "--cluster-node-timeout", "2000"]
            nodes.append(stack.enter_context(_run(folder, *words, bus=True)))
        for number, node in enumerate(nodes):
            node.command("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
            node.command("CLUSTER", "ADDSLOTSRANGE", str(number * 5462), str(min(number * 5462 + 5461, SLOTS - 1)))
        for node in nodes[1:]:
            bus = str(_bus(node.port))
            nodes[0].command("CLUSTER", "MEET", "127.0.0.1", str(node.port), bus)
        for node in nodes:
            wait_for(lambda node=node: _is_whole(node), "the cluster is whole")  # type: ignore[misc]
        yield nodes


def _is_whole(node: RedisServer) -> bool:
    info = node.command("CLUSTER", "INFO")
    return "cluster_state:ok" in info and "cluster_known_nodes:3" in info and "cluster_size:3" in info


def node_id(node: RedisServer) -> str:
    """Return the node's name within the cluster."""
    return node.command("CLUSTER", "MYID").split("\r\n")[1]


def move_slot(key: str, nodes: list[RedisServer]) -> RedisServer:
    """Move the slot of `key`, with all that is in it, to another node; returns that node."""
    slot = nodes[0].command("CLUSTER", "KEYSLOT", key).split("\r\n")[0][1:]
    source = next(node for node in nodes if not node.command("GET", key).startswith("-MOVED"))
    target = next(node for node in nodes if node is not source)
    target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", node_id(source))
    source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", node_id(target))
    while found := source.command("CLUSTER", "GETKEYSINSLOT", slot, "10").split("\r\n")[2:-2:2]:
        found = [word for word in found if not word.startswith("+")]
        if not found:
            break
        answer = source.command("MIGRATE", "127.0.0.1", str(target.port), "", "0", "5000", "KEYS", *found)
        assert answer.startswith("+OK"), answer
    for node in (target, source, *nodes):
        node.command("CLUSTER", "SETSLOT", slot, "NODE", node_id(target))
    return target


def _bus(port: int) -> int:
    return port + 10000 if port < 50000 else port - 10000


@contextlib.contextmanager
def _run(folder: str, *words: str, bus: bool = False) -> Generator[RedisServer]:
    program = need("redis-server")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
    options += ["--cluster-port", str(_bus(port))] if bus else []
    command = [program, *options, *words]
    if words[0].endswith(".conf"):  # a Sentinel keeps its file, and takes its port from there
        with Path(words[0]).open("a") as file:
            file.write(f"port {port}\n")
        command = [program, *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    server = RedisServer(program, folder, port, process)
    try:
        wait_for(lambda: bool(server.command("PING")), "redis-server answers")
        yield server
    finally:
        server.stop()
