"""A bot that gives everybody their own sound back, through the same road as speech: for measuring that road alone."""

import asyncio
import secrets
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import av

from rtc_voice.config import AUDIO
from rtc_voice.errors import CapacityError, RtcVoiceError
from rtc_voice.metrics import Metrics
from rtc_voice.prometheus import render
from rtc_voice.rtc.ice import IceConfig
from rtc_voice.rtc.peer import Peer
from rtc_voice.rtc.playout import ChunkQueue, Samples
from rtc_voice.rtc.protocol import ErrorMessage, MetricsMessage, dump
from rtc_voice.timing import Clock, MonotonicClock

MAX_WAITING_CHUNKS = 30  # 600 ms
METRICS_INTERVAL_S = 1.0


class EchoCall:
    """One participant who hears themselves. No picture is looked at; every message is answered with an error."""

    def __init__(self, echo: "Echo", clock: Clock, ice: IceConfig) -> None:
        self.id = secrets.token_urlsafe(12)
        self.metrics = Metrics()
        self._echo = echo
        self._queue = ChunkQueue(AUDIO.sample_rate, MAX_WAITING_CHUNKS, self.metrics, clock)
        self.peer = Peer(self, self._queue, clock=clock, metrics=self.metrics, ice=ice)
        self._reporting: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Hang up; calling it again does nothing more."""
        self._stop_reporting()
        await self.peer.close()

    def on_connected(self) -> None:
        """Begin to report the call's figures."""
        self._reporting = self._reporting or asyncio.get_running_loop().create_task(self._report())

    def on_samples(self, samples: Samples) -> None:
        """Send it back."""
        self._queue.live = self._queue.expecting = True
        self._queue.push(samples)

    def on_pause(self) -> None:
        """Nothing to send back for now."""
        self._queue.expecting = False

    def on_message(self, text: str | bytes) -> None:
        """There is nothing to ask of an echo."""
        error = RtcVoiceError("this bot is an echo", "start `rtc-voice serve` without --mode echo")
        self.peer.send(dump(ErrorMessage.of(error)))

    def on_picture(self, frame: av.VideoFrame, time_ms: float) -> None:
        """Not looked at."""

    def on_video_ended(self) -> None:
        """Nobody watched."""

    def on_gone(self) -> None:
        """The participant is gone."""
        self._stop_reporting()
        self._echo.forget(self.id)

    def _stop_reporting(self) -> None:
        if self._reporting is not None:
            self._reporting.cancel()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(METRICS_INTERVAL_S)
            self.peer.send(dump(MetricsMessage(self.metrics.snapshot())))


class Echo:
    """Answers offers with an echo; stands in for ``Bot`` behind the web server, and loads no model."""

    def __init__(self, max_calls: int, ice: IceConfig = IceConfig(), clock: Clock | None = None) -> None:  # noqa: B008
        self.calls: dict[str, EchoCall] = {}
        self.max_calls = max_calls
        self._ice = ice
        self._clock = clock or MonotonicClock()
        self._ended = Metrics()  # of calls that are over

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(self.close_call(id) for id in list(self.calls)))

    async def open_call(self, sdp: str, type: str) -> tuple[str, Mapping[str, str]]:
        """Answer an offer; returns the call's id and the answer.

        Raises:
            ProtocolError: the offer cannot be used.
            CapacityError: all calls are taken.
        """
        if len(self.calls) >= self.max_calls:
            raise CapacityError(f"all {self.max_calls} calls are taken", "try again later")
        call = EchoCall(self, self._clock, self._ice)
        self.calls[call.id] = call
        try:
            return call.id, await call.peer.answer(sdp, type)
        except BaseException:
            await self.close_call(call.id)
            raise

    async def close_call(self, call_id: str) -> None:
        """Hang up one call; unknown ids are ignored."""
        call = self.calls.get(call_id)
        if call is not None:
            self.forget(call_id)
            await call.close()

    def forget(self, call_id: str) -> None:
        """Take a call that has ended off the list, and keep its counters."""
        call = self.calls.pop(call_id, None)
        if call is not None:
            self._ended.merge(call.metrics)

    async def add_candidate(self, call_id: str, candidate: str, mid: str | None, line: int | None) -> None:
        """Hand a call one more address of its peer."""
        await self.calls[call_id].peer.add_candidate(candidate, mid, line)

    def health(self) -> dict[str, object]:
        """The calls and the counters of all calls so far."""
        total = self._total().counters
        return {"status": "ok", "mode": "echo", "calls": len(self.calls), "max_calls": self.max_calls, **total}

    def figures(self, refused: Mapping[str, int]) -> bytes:
        """The same for Prometheus, with the requests ``refused`` by reason."""
        return render(self._total(), {"calls": len(self.calls), "max_calls": self.max_calls}, refused)

    def _total(self) -> Metrics:
        total = Metrics()
        for metrics in (self._ended, *(call.metrics for call in self.calls.values())):
            total.merge(metrics)
        return total
