#!/usr/bin/env bash
# redis-py: what a cluster client raises when no node answers is no RedisError.
#
# Every other client of redis-py raises a subclass of RedisError when its server is away. RedisCluster raises
# RedisClusterException, which derives from Exception: `except RedisError` lets it through, and so does
# `except ConnectionError`. Exits non-zero if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install -q redis==8.1.0
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import socket

import redis
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster

with socket.create_server(("127.0.0.1", 0)) as bound:
    port = bound.getsockname()[1]  # nobody listens there afterwards


async def raised_by(client):
    try:
        await client.get("key")
    except Exception as error:
        return type(error)
    finally:
        await client.aclose()
    raise SystemExit("somebody answered")


async def main():
    server = await raised_by(Redis(port=port))
    cluster = await raised_by(RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", port)]))
    print(f"redis-py {redis.__version__}")
    for name, kind in (("Redis", server), ("RedisCluster", cluster)):
        print(f"{name}: {kind.__name__}, a RedisError: {issubclass(kind, redis.RedisError)}")
    if not issubclass(server, redis.RedisError) or issubclass(cluster, redis.RedisError):
        raise SystemExit("this has changed")


asyncio.run(main())
PYTHON
