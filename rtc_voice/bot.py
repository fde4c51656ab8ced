"""The bot: what all calls share, and the calls that stand."""

import asyncio
import gc
import logging
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from rtc_voice.call import Call, Line, Parts
from rtc_voice.errors import CapacityError
from rtc_voice.faces.worker import FaceWorker
from rtc_voice.metrics import Metrics
from rtc_voice.prometheus import render
from rtc_voice.rtc.ice import DIRECT, IceConfig
from rtc_voice.rtc.peer import Peer
from rtc_voice.speech.engines import DEFAULT, TextEngines
from rtc_voice.synthesis.chain import load_chain
from rtc_voice.synthesis.engine import Engine
from rtc_voice.synthesis.speed import voices_that_fit
from rtc_voice.timing import Clock, MonotonicClock
from rtc_voice.voices.cache import VoiceCache
from rtc_voice.voices.predictor import PredictorName, load_predictor

logger = logging.getLogger(__name__)

DRAIN_S = 3.5  # what is being said may end; a service manager waits 5 s or more
_LAG_INTERVAL_S = 0.05
_FEWEST_VOICES = 2  # are tried on any machine; whether they go well, the load tells


@dataclass(frozen=True, slots=True)
class BotConfig:
    """What a bot is started with."""

    max_calls: int = 4  # calls at once
    cache_file: Path | None = None  # voices survive a restart there; None keeps them in memory
    ice: IceConfig = DIRECT
    predictor: PredictorName = "learned"  # from face to voice
    text_engines: tuple[str, ...] = DEFAULT  # NAME or NAME:MODEL, in the order in which they are asked
    voices: int | None = None  # at once; None: as many as this machine is measured to have time for
    device: str = "auto"  # where voices are made: cpu, cuda, or auto, a GPU where there is one
    fuse: bool = False  # compile for a GPU: a minute at the start, then half of the time for a voice alone


class Bot:
    """Answers offers and keeps the calls; use as an async context manager.

    Entering loads and warms every model, so the first call is as fast as any.
    """

    def __init__(self, config: BotConfig = BotConfig(), clock: Clock | None = None) -> None:  # noqa: B008 - frozen
        self.config = config
        self.metrics = Metrics()
        self.calls: dict[str, Call] = {}
        self.clock = clock or MonotonicClock()
        self._ended = Metrics()  # of calls that are over
        self._peers: dict[str, Peer] = {}
        self._is_draining = False
        self._stack = AsyncExitStack()
        self._closing: set[asyncio.Task[None]] = set()
        self._parts: Parts | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self._parts = await asyncio.to_thread(self._load, stack)
            # What is loaded now stays: looking through it again would stop every thread for milliseconds, at any time.
            gc.collect()
            gc.freeze()
            stack.callback(gc.unfreeze)
            lag = asyncio.create_task(self._watch_loop())
            stack.callback(lag.cancel)
            stack.push_async_callback(self._hang_up_all)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _load(self, stack: AsyncExitStack) -> Parts:
        text_pool, recording_pool = (stack.enter_context(ThreadPoolExecutor(1, name)) for name in ("text", "recording"))
        chain, most = load_chain(device=self.config.device), self.config.max_calls
        voices = self.config.voices or min(most, max(voices_that_fit(chain, most), _FEWEST_VOICES))
        logger.info("%d voices at once, on %s", voices, chain.device)
        engine = stack.enter_context(Engine(chain, slots=voices, fuse=self.config.fuse))
        faces = stack.enter_context(FaceWorker(metrics=self.metrics))
        cache = VoiceCache(path=self.config.cache_file)
        stack.callback(cache.close)
        text = TextEngines(self.config.text_engines)
        speaker, language = text.choose("")
        for _ in speaker.sentences("1.", language):  # warms it up; written alike everywhere
            pass
        predictor = load_predictor(self.config.predictor)
        return Parts(engine, faces, predictor, cache, text, text_pool, recording_pool, self.clock)

    @property
    def max_calls(self) -> int:
        """Calls at once."""
        return self.config.max_calls

    def admit(self) -> None:
        """Return if one more call may come.

        Raises:
            CapacityError: all calls are taken, or this machine has too much to do.
        """
        assert self._parts is not None, "enter the bot first"
        if self._is_draining:
            raise CapacityError("the bot is leaving", "call again later")
        if len(self.calls) >= self.max_calls:
            raise CapacityError(f"all {self.max_calls} calls are taken", "try again later")
        if self._parts.engine.voices >= self._parts.engine.slots:
            raise CapacityError(f"all {self._parts.engine.slots} voices of this machine are in use", "try again later")
        if self.calls:  # nobody's sound suffers from the first
            self._parts.load.check()

    async def open_call(self, sdp: str, type: str) -> tuple[str, Mapping[str, str]]:
        """Answer an offer; returns the call's id and the answer.

        Raises:
            ProtocolError: the offer cannot be used.
            CapacityError: all calls are taken, or this machine has too much to do.
        """
        assert self._parts is not None, "enter the bot first"
        self.admit()
        call = Call(secrets.token_urlsafe(12), self._parts, connect=self._connect, on_gone=self._on_gone)
        self.calls[call.id] = call
        try:
            return call.id, await self._peers[call.id].answer(sdp, type)
        except BaseException:
            await self.close_call(call.id)
            raise

    def open_line(self, connect: Callable[[Call], Line]) -> Call:
        """A call over a line of somebody else's making, which ends it with ``close_call``."""
        assert self._parts is not None, "enter the bot first"
        call = Call(secrets.token_urlsafe(12), self._parts, connect=connect)
        self.calls[call.id] = call
        return call

    def _connect(self, call: Call) -> Peer:
        peer = Peer(call, call.queue, clock=self.clock, metrics=call.metrics, ice=self.config.ice)
        self._peers[call.id] = peer
        return peer

    async def close_call(self, call_id: str) -> None:
        """Hang up one call; unknown ids are ignored."""
        self._peers.pop(call_id, None)
        call = self.calls.pop(call_id, None)
        if call is not None:
            self._ended.merge(call.metrics)
            await call.close()

    async def add_candidate(self, call_id: str, candidate: str, mid: str | None, line: int | None) -> None:
        """Hand a call one more address of its peer."""
        await self._peers[call_id].add_candidate(candidate, mid, line)

    async def drain(self, limit_s: float = DRAIN_S) -> None:
        """Let what is being said in all calls end, for as long as ``limit_s``; nothing new is taken."""
        self._is_draining = True
        try:
            async with asyncio.timeout(limit_s):
                await asyncio.gather(*(call.drain() for call in self.calls.values()))
        except TimeoutError:
            logger.info("leaving before everything was said")

    def health(self) -> dict[str, object]:
        """What monitoring asks for, with the counters of all calls so far."""
        assert self._parts is not None
        return {
            **self._of_all_calls().counters,
            "status": "ok",
            "calls": len(self.calls),
            "max_calls": self.max_calls,
            "voices": self._parts.engine.voices,
            "max_voices": self._parts.engine.slots,
            **self.metrics.snapshot(),
        }

    def figures(self, refused: Mapping[str, int]) -> bytes:
        """The same for Prometheus.

        Args:
            refused: requests that the server refused, by reason.
        """
        assert self._parts is not None
        total = self._of_all_calls()
        total.merge(self.metrics)
        total.merge(self._parts.engine.metrics)
        voices = self._parts.engine.voices
        return render(total, {"calls": len(self.calls), "max_calls": self.max_calls, "voices": voices}, refused)

    def _of_all_calls(self) -> Metrics:
        total = Metrics()
        for metrics in (self._ended, *(call.metrics for call in self.calls.values())):
            total.merge(metrics)
        return total

    def _on_gone(self, call: Call) -> None:
        task = asyncio.get_running_loop().create_task(self.close_call(call.id))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _hang_up_all(self) -> None:
        await asyncio.gather(*(self.close_call(id) for id in list(self.calls)), *self._closing)

    async def _watch_loop(self) -> None:
        """Measure how late the event loop comes back from a sleep, and how much the engine has to do."""
        assert self._parts is not None
        work = self._parts.engine.metrics.counters
        while True:
            due = self.clock.now() + _LAG_INTERVAL_S
            await asyncio.sleep(_LAG_INTERVAL_S)
            now = self.clock.now()
            self.metrics.record("loop_lag_ms", 1000 * (now - due))
            self._parts.load.add(now, now - due, work["work_us"] / 1e6, work["ticks"])
