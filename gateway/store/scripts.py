"""What Redis does in one step for us (Lua scripts: atomic). Each touches one key, so that it runs on a cluster."""

from __future__ import annotations

from typing import Any, Final

_REPLACE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
  return 1
end
return 0"""

# members past their time go; the index lives as long as its latest member
_ADD_MEMBER: Final = """
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
local latest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
redis.call('EXPIREAT', KEYS[1], latest[2])
return 1"""

_REMOVE_MEMBER: Final = """
redis.call('ZREM', KEYS[1], unpack(ARGV))
return redis.call('ZCARD', KEYS[1])"""

_INCREMENT: Final = """
local count = redis.call('INCRBY', KEYS[1], ARGV[2])
if count == tonumber(ARGV[2]) then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return count"""

_PROLONG: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0"""

_REMOVE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0"""


class Scripts:
    """The scripts as a redis-py client runs them: sent once, then named by their hash (EVALSHA)."""

    def __init__(self, client: Any) -> None:
        self.replace = client.register_script(_REPLACE)
        self.remove = client.register_script(_REMOVE)
        self.prolong = client.register_script(_PROLONG)
        self.add_member = client.register_script(_ADD_MEMBER)
        self.remove_member = client.register_script(_REMOVE_MEMBER)
        self.increment = client.register_script(_INCREMENT)
