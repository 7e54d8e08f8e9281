"""oauth2-proxy's Redis → ours: one server, Sentinel or a cluster. No password is repeated: each becomes a variable."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import SplitResult

from gateway.migrate.old import Old, split_address
from gateway.migrate.plan import TO_FILL_IN, Plan


def add_store(plan: Plan, old: Old) -> None:
    """Add the section `redis`."""
    if old.flag("redis_use_sentinel"):
        _add_many(plan, old, "sentinel", old.items("redis_sentinel_connection_urls"))
        plan.set("redis.sentinel.service", old.text("redis_sentinel_master_name") or "${REDIS_SENTINEL_SERVICE}")
        if old.has("redis_sentinel_password"):
            note = f"{TO_FILL_IN}, as the variable REDIS_SENTINEL_PASSWORD: what redis_sentinel_password was"
            plan.set("redis.sentinel.sentinel_password", "${REDIS_SENTINEL_PASSWORD}", note)
    elif old.flag("redis_use_cluster"):
        _add_many(plan, old, "cluster", old.items("redis_cluster_connection_urls"))
    elif old.has("redis_connection_url"):
        _add_one(plan, old)
    else:
        plan.set(
            "redis",
            "${GATEWAY_REDIS}",
            f"{TO_FILL_IN}, as the variable GATEWAY_REDIS: the address of a Redis, like redis://127.0.0.1:6379/0. "
            "oauth2-proxy kept sessions in cookies; here they are in Redis, and can be ended",
        )


def _add_one(plan: Plan, old: Old) -> None:
    parts = split_address(old.text("redis_connection_url"))
    database = parts.path if parts.path.strip("/").isdigit() else ""
    path = parts.path if parts.scheme == "unix" else database
    plan.set("redis.url", f"{parts.scheme}://{_place(parts)}{path}")
    if parts.query:
        plan.note("redis.url", "Its options are gone: see redis.timeout, redis.tls")
    _add_user(plan, old, "redis", parts)
    _add_tls(plan, old, encrypted=parts.scheme == "rediss")


def _add_many(plan: Plan, old: Old, kind: str, urls: Sequence[str]) -> None:
    parts = [split_address(url) for url in urls]
    nodes = [place if ":" in place.rpartition("]")[2] else f"{place}:6379" for place in map(_place, parts)]
    plan.set(f"redis.{kind}.nodes", nodes or ["${REDIS_NODE}"])
    if not nodes:
        plan.note(f"redis.{kind}.nodes", f"{TO_FILL_IN}, as the variable REDIS_NODE: oauth2-proxy was told none")
    last = parts[-1] if parts else split_address("")  # whose user counts there too
    _add_user(plan, old, f"redis.{kind}", last)
    _add_tls(plan, old, encrypted=last.scheme == "rediss")


def _add_user(plan: Plan, old: Old, key: str, parts: SplitResult) -> None:
    user_info = parts.netloc.rpartition("@")[0]
    user, _, password = user_info.partition(":")
    if not (old.has("redis_password") or password):
        return
    if old.text("redis_username", user):
        plan.set(f"{key}.username", old.text("redis_username", user))
    where = "redis_password was" if old.has("redis_password") else "stood in the address"
    note = f"{TO_FILL_IN}, as the variable REDIS_PASSWORD: what {where}, without percent-encoding"
    plan.set(f"{key}.password", "${REDIS_PASSWORD}", note)


def _add_tls(plan: Plan, old: Old, *, encrypted: bool) -> None:
    ca, unsafe = old.text("redis_ca_path"), old.flag("redis_insecure_skip_tls_verify")
    if not (ca or unsafe or encrypted):
        return
    if not encrypted and (ca or unsafe):
        plan.leave("redis_ca_path, redis_insecure_skip_tls_verify", "the address of Redis is not rediss://")
        return
    if ca:
        plan.set("redis.tls.ca", ca, "This authority alone is believed, not the system's beside it")
    if unsafe:
        plan.set("redis.tls.verify", False, "Nobody checks who answers: name the authority in redis.tls.ca instead")
    if not ca and not unsafe:
        plan.set("redis.tls", {})


def _place(parts: SplitResult) -> str:
    """Return host and port of an address, without its user."""
    return parts.netloc.rpartition("@")[2]
