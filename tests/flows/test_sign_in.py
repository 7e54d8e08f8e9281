"""The sign-in flow by itself: what proves whose attempt it is comes before anything is used up, sent off or written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from gateway.core.authorization import AuthorizationPlan, Wish
from gateway.core.binding import Binding, new_binding
from gateway.core.sign_in import ATTEMPT_KEPT, ATTEMPT_LASTS, Callback, build_attempt_key, new_state, read_callback
from gateway.core.tiktok import Profile
from gateway.core.urls import ReturnTo, check_return_to
from gateway.errors import (
    AccessDenied,
    AttemptOfOtherBrowser,
    AttemptUnknown,
    AttemptWithoutCookie,
    ProviderUnavailable,
    SignInRefused,
    TooManyAttempts,
)
from gateway.flows.attempt_limit import AttemptLimit
from gateway.flows.attempts import Attempts
from gateway.flows.disconnect import Disconnect
from gateway.flows.outbox import Outbox
from gateway.flows.sessions import SignedIn
from gateway.flows.sign_in import Begun, Completed, SignIn
from gateway.flows.visitor import Visitor
from gateway.simulator import consent
from tests.flows.conftest import REDIRECT_URI, Process, World

pytestmark = pytest.mark.anyio

SITE = "http://127.0.0.1:1"
SCOPES = ("user.info.basic", "user.info.profile")


def wanted(path: str = "/private/x?n=1") -> ReturnTo:
    found = check_return_to(path, public_url=SITE, allowed_hosts=frozenset(), prefix="/oauth2")
    assert found is not None
    return found


class Flow:
    """A sign-in flow on the embedded store, with the simulator as TikTok."""

    def __init__(self, world: World, process: Process, *, of_network: int = 0) -> None:
        self.world, self.process = world, process
        plan = AuthorizationPlan(
            authorize_url=world.simulator.authorize_url,
            client_key=world.simulator.settings.client_key,
            redirect_uri=REDIRECT_URI,
            scopes=SCOPES,
            pkce="hex",
            always_ask=False,
            known_scopes=frozenset(SCOPES),
        )
        self.attempts = Attempts(world.store, world.keyring)
        outbox = Outbox(world.store, world.keyring, {}, clock=world.clock)
        self.flow = SignIn(
            self.attempts,
            process.sessions,
            process.provider,
            plan,
            AttemptLimit(world.store, of_network=of_network, of_all=0, clock=world.clock),
            Disconnect(world.store, process.sessions, outbox, clock=world.clock),
            process.refresh,
            clock=world.clock,
        )

    async def begin(self, binding: Binding, wish: Wish | None = None) -> Begun:
        more = {} if wish is None else {"wish": wish}
        return await self.flow.begin(wanted(), binding=binding, client_address="192.0.2.7", **more)

    async def begin_and_consent(self, binding: Binding, *, person: str = "plain", allow: bool = True) -> Callback:
        """Begin, and choose at TikTok; returns the callback."""
        begun = await self.begin(binding)
        return read_callback(urlsplit(consent(begun.location, person=person, allow=allow)).query.encode())

    async def complete(self, callback: Callback, *bindings: Binding, presented: Sequence[SignedIn] = ()) -> Completed:
        done = await self.flow.complete(callback, Visitor(bindings, presented, "test", "192.0.2.7"))
        assert isinstance(done, Completed)
        return done

    @property
    def redemptions(self) -> int:
        return self.world.simulator.redemptions


@pytest.fixture
def flow(world: World, process: Process) -> Flow:
    return Flow(world, process)


def state_of(begun: Begun) -> str:
    return parse_qs(urlsplit(begun.location).query)["state"][0]


async def test_it_ends_where_it_was_to_with_a_session_that_opens(flow: Flow) -> None:
    binding = new_binding()
    done = await flow.complete(await flow.begin_and_consent(binding), binding)
    assert done.location == SITE + "/private/x?n=1"
    signed_in = await flow.process.read(done.session_id)
    assert signed_in is not None
    assert (signed_in.session.subject, done.binding.value) == (done.subject, binding.value)
    assert done.binding.completed_at is not None


async def test_an_attempt_is_kept_sealed_and_for_half_an_hour(flow: Flow) -> None:
    begun = await flow.begin(new_binding())
    key = build_attempt_key(state_of(begun))
    sealed = await flow.world.store.read(key)
    assert sealed is not None
    assert wanted().url.encode() not in sealed
    left = await flow.world.store._client.ttl("test:" + key)
    assert ATTEMPT_KEPT.total_seconds() - 5 <= left <= ATTEMPT_KEPT.total_seconds()


async def test_of_several_bindings_the_one_that_began_it_counts(flow: Flow) -> None:
    binding = new_binding()
    callback = await flow.begin_and_consent(binding)
    done = await flow.complete(callback, new_binding(), binding, new_binding())
    assert done.binding.value == binding.value


async def test_another_browser_learns_nothing_and_uses_nothing_up(flow: Flow) -> None:
    binding = new_binding()
    callback = await flow.begin_and_consent(binding)
    for others, kind in (((), AttemptWithoutCookie), ((new_binding(), new_binding()), AttemptOfOtherBrowser)):
        with pytest.raises(kind) as refused:
            await flow.complete(callback, *others)
        assert refused.value.return_to is None  # it is the other's, too
    assert flow.redemptions == 0
    await flow.complete(callback, binding)  # whose it is may still finish


async def test_an_attempt_is_taken_once_and_before_its_code_is_redeemed(flow: Flow) -> None:
    binding = new_binding()
    callback = await flow.begin_and_consent(binding)
    assert callback.state is not None
    seen: list[bytes | None] = []
    redeem = flow.process.provider.redeem

    async def look_and_redeem(code: object) -> object:
        seen.append(await flow.world.store.read(build_attempt_key(callback.state or "")))
        return await redeem(code)  # type: ignore[arg-type]

    flow.process.provider.redeem = look_and_redeem  # type: ignore[method-assign,assignment]
    await flow.complete(callback, binding)
    assert seen == [None]
    with pytest.raises(AttemptUnknown):
        await flow.complete(callback, binding)
    assert flow.redemptions == 1


async def test_who_comes_second_while_the_first_is_at_it_redeems_nothing(flow: Flow) -> None:
    """Both have read the attempt before either takes it."""
    binding = new_binding()
    callback = await flow.begin_and_consent(binding)
    assert callback.state is not None
    attempt_key, store = build_attempt_key(callback.state), flow.world.store
    read, taken = store.read, [False]

    async def read_and_lose(key: str) -> bytes | None:
        found = await read(key)
        if key == attempt_key and not taken[0]:
            taken[0] = True
            assert await store.take(key) == found
        return found

    store.read = read_and_lose  # type: ignore[method-assign]
    with pytest.raises(AttemptUnknown, match="a moment ago"):
        await flow.complete(callback, binding)
    assert flow.redemptions == 0


@pytest.mark.parametrize("after", [ATTEMPT_LASTS, ATTEMPT_LASTS + timedelta(minutes=5)])
async def test_who_took_too_long_is_told_so_and_where_they_wanted_to_go(flow: Flow, after: timedelta) -> None:
    binding = new_binding()
    callback = await flow.begin_and_consent(binding)
    flow.world.clock.forward(after)
    with pytest.raises(AttemptUnknown) as refused:
        await flow.complete(callback, binding)
    assert (refused.value.return_to, flow.redemptions) == (wanted().url, 0)


@pytest.mark.parametrize("state", [None, "", "short", "x" * 42 + "\n", "é" * 43])
async def test_what_is_no_state_of_ours_is_not_even_looked_for(flow: Flow, state: str | None) -> None:
    async def never(key: str) -> bytes | None:
        raise AssertionError(f"{key} was read")

    flow.world.store.read = never  # type: ignore[method-assign]
    with pytest.raises(AttemptUnknown):
        await flow.complete(Callback(state=state, code="c", scopes=None, error=None, error_type=None), new_binding())


async def test_an_error_without_a_state_touches_nothing_and_one_with_it_ends_the_attempt(flow: Flow) -> None:
    binding = new_binding()
    callback = await flow.begin_and_consent(binding, allow=False)
    with pytest.raises(AccessDenied) as refused:
        await flow.complete(msgspec.structs.replace(callback, state=None), binding)
    assert refused.value.return_to is None
    with pytest.raises(AccessDenied) as refused:
        await flow.complete(callback, binding)
    assert refused.value.return_to == wanted().url
    with pytest.raises(AttemptUnknown):
        await flow.complete(callback, binding)


async def test_sessions_that_the_browser_still_has_end_with_a_new_one_and_not_without(flow: Flow) -> None:
    _, _, old = await flow.world.signed_in(flow.process)
    presented = await flow.process.read(old)
    assert presented is not None
    binding = new_binding()
    with pytest.raises(SignInRefused):
        await flow.complete(await flow.begin_and_consent(binding, allow=False), binding, presented=(presented,))
    assert await flow.process.read(old) is not None
    done = await flow.complete(await flow.begin_and_consent(binding), binding, presented=(presented,))
    assert await flow.process.read(old) is None
    assert await flow.process.read(done.session_id) is not None


async def test_a_profile_of_somebody_else_signs_nobody_in(flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    async def of_another(access_token: str, scopes: Sequence[str], *, open_id: str) -> Profile:
        return Profile(open_id="-000somebody-else")

    monkeypatch.setattr(flow.process.provider, "user_info", of_another)
    binding = new_binding()
    with pytest.raises(ProviderUnavailable):
        await flow.complete(await flow.begin_and_consent(binding), binding)
    assert [key async for key in flow.world.store.walk("session:")] == []


async def test_scopes_are_regained_for_who_is_signed_in_and_for_nobody_else(flow: Flow) -> None:
    """TikTok may let another account pass than the one whose scopes are to be regained."""
    _, grant, session_id = await flow.world.signed_in(flow.process)
    presented = await flow.process.read(session_id)
    assert presented is not None
    binding = new_binding()
    begun = await flow.begin(binding, Wish(scopes=SCOPES, regains_for=grant.subject))
    callback = read_callback(urlsplit(consent(begun.location, person="emoji")).query.encode())
    sessions = [key async for key in flow.world.store.walk("session:")]
    unchanged = await flow.flow.complete(callback, Visitor((binding,), (presented,), "", ""))
    assert not isinstance(unchanged, Completed)
    assert unchanged.return_to == wanted().url
    assert [key async for key in flow.world.store.walk("session:")] == sessions
    kept = await flow.process.read(session_id)
    assert kept is not None
    assert kept.grant.subject == grant.subject


async def test_a_reloaded_callback_finds_its_way_in_the_browser_that_finished_it(flow: Flow) -> None:
    binding = new_binding()
    callback = await flow.begin_and_consent(binding)
    assert await flow.attempts.read_finished(callback.state, bindings=(binding,)) is None  # it has not finished yet
    await flow.complete(callback, binding)
    assert await flow.attempts.read_finished(callback.state, bindings=(new_binding(), binding)) == wanted().url
    assert await flow.attempts.read_finished(callback.state, bindings=(new_binding(),)) is None
    assert await flow.attempts.read_finished(callback.state, bindings=()) is None
    other = msgspec.structs.replace(callback, state=new_state())
    assert await flow.attempts.read_finished(other.state, bindings=(binding,)) is None


async def test_beyond_the_limit_nothing_is_written(world: World, process: Process) -> None:
    flow = Flow(world, process, of_network=2)
    for _ in range(2):
        await flow.begin(new_binding())
    with pytest.raises(TooManyAttempts):
        await flow.begin(new_binding())
    assert len([key async for key in world.store.walk("attempt:")]) == 2
