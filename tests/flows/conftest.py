"""The flows on the embedded store, with the simulator as TikTok, and a clock that a test may move."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.grant import Grant, build_grant_key
from gateway.core.keyring import Keyring
from gateway.core.session import SessionLimits, build_session_key
from gateway.core.sign_in import SignInAttempt, VerifiedCode, hash_binding, read_callback
from gateway.core.tiktok import Profile
from gateway.flows.refresh import Refresh
from gateway.flows.sessions import Sessions, SignedIn
from gateway.provider import TikTok, TikTokAddresses
from gateway.settings.redis import RedisSettings
from gateway.simulator import RunningSimulator, SimulatorSettings, consent
from gateway.simulator import run_in_thread as run_simulator
from gateway.store import open_store
from gateway.store.redis import RedisStore

REDIRECT_URI = "http://127.0.0.1:1/oauth2/callback"


@dataclass
class Clock:
    """The real time, moved by what a test says."""

    offset: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def forward(self, span: timedelta) -> None:
        self.offset += span


@dataclass
class Process:
    """What one process of the gateway has."""

    store: RedisStore
    sessions: Sessions
    provider: TikTok
    refresh: Refresh
    clock: Clock

    async def read(self, session_id: str) -> SignedIn | None:
        """Read who a cookie stands for."""
        key = build_session_key(session_id.encode())
        return await self.sessions.read(key, self.clock()) if key is not None else None


class World:
    """A store that processes share, TikTok, and time."""

    def __init__(self, simulator: RunningSimulator) -> None:
        self.simulator = simulator
        self.clock = Clock()
        self.store = open_store(RedisSettings(url="memory://", key_prefix="test:"))
        self.keyring = Keyring([b"k" * 32])
        self.limits = SessionLimits(idle=timedelta(days=7), absolute=timedelta(days=30))
        self.processes: list[Process] = []

    def process(self) -> Process:
        """Start another process."""
        settings = self.simulator.settings
        provider = TikTok(
            TikTokAddresses(
                client_key=settings.client_key,
                client_secret=settings.client_secret,
                redirect_uri=REDIRECT_URI,
                token_url=self.simulator.token_url,
                revoke_url=self.simulator.revoke_url,
                user_info_url=self.simulator.user_info_url,
                get_qrcode_url=self.simulator.get_qrcode_url,
                check_qrcode_url=self.simulator.check_qrcode_url,
            ),
            clock=self.clock,
        )
        sessions = Sessions(self.store, self.keyring, self.limits, client_key=settings.client_key)
        refresh = Refresh(self.store, sessions, provider, clock=self.clock)
        process = Process(self.store, sessions, provider, refresh, self.clock)
        self.processes.append(process)
        return process

    def code(self, person: str = "plain") -> VerifiedCode:
        """Let a person consent; returns the verified code."""
        settings = self.simulator.settings
        location = consent(
            f"{self.simulator.authorize_url}?client_key={settings.client_key}&scope=user.info.basic,user.info.profile"
            f"&response_type=code&redirect_uri={REDIRECT_URI}&state=s",
            person=person,
        )
        attempt = SignInAttempt(
            binding=hash_binding("b"), code_verifier=None, return_to="/", scopes=(), begun_at=self.clock()
        )
        return attempt.verify(read_callback(location.partition("?")[2].encode()), "b", self.clock())

    async def signed_in(self, process: Process, person: str = "plain") -> tuple[str, Grant, str]:
        """Sign somebody in; returns the grant's key, the grant and the session id."""
        tokens = await process.provider.redeem(self.code(person))
        profile = Profile(open_id=tokens.open_id, display_name="Ada")
        grant = Grant(tokens=tokens, profile=profile, profile_read_at=self.clock())
        session_id = await process.sessions.begin(grant, user_agent="test", now=self.clock())
        return build_grant_key(self.simulator.settings.client_key, grant.subject), grant, session_id

    async def close(self) -> None:
        for process in self.processes:
            await process.refresh.close()
            await process.provider.close()
        await self.store.close()


@pytest.fixture(scope="session")
def simulator() -> Generator[RunningSimulator]:
    with run_simulator(SimulatorSettings()) as running:
        yield running


@pytest.fixture
async def world(simulator: RunningSimulator) -> AsyncGenerator[World]:
    simulator.simulator.reset()
    world = World(simulator)
    yield world
    simulator.troubles.reset()
    await world.close()


@pytest.fixture
def process(world: World) -> Process:
    return world.process()


@pytest.fixture
async def session_id(world: World, process: Process) -> str:
    """Of somebody who has signed in."""
    return (await world.signed_in(process))[2]
