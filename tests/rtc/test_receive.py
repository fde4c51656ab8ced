import asyncio
from collections.abc import Callable, Sequence

import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.jitter import AudioPacket
from rtc_voice.rtc.playout import Samples
from rtc_voice.rtc.receive import AudioReceiver, drain, receive_video
from rtc_voice.timing import MonotonicClock
from tests.rtc.conftest import JumpClock
from tests.rtc.packets import TICKS, encoded, packet

AnyFrame = av.AudioFrame | av.VideoFrame


class ListTrack(MediaStreamTrack):
    """Gives its frames one after the other, then ends."""

    def __init__(self, kind: str, frames: Sequence[AnyFrame], wait: Callable[[], float]) -> None:
        super().__init__()
        self.kind = kind
        self.left: list[AnyFrame] = list(frames)
        self._wait = wait

    async def recv(self) -> AnyFrame:
        if not self.left:
            raise MediaStreamError
        await asyncio.sleep(self._wait())
        return self.left.pop(0)


class Ear:
    """A receiver on a clock that only the test moves, and what it handed on."""

    def __init__(self) -> None:
        self.clock = JumpClock()
        self.metrics = Metrics()
        self.parts: list[tuple[Samples, int]] = []
        self.pauses = 0
        self.receiver = AudioReceiver(self._hear, self.metrics, self.clock, self._pause)

    def _hear(self, samples: Samples, filled: int) -> None:
        self.parts.append((samples, filled))

    def _pause(self) -> None:
        self.pauses += 1

    def wake(self, time_s: float) -> None:
        """Move the clock and do what the receiver's timer would."""
        self.clock.time = time_s
        self.receiver._play()


def tone(count: int) -> Samples:
    """``count`` frames of 20 ms."""
    return (0.5 * np.sin(2 * np.pi * 1_000 * np.arange(480 * count) / 24_000)).astype(np.float32)


async def test_a_lost_packet_is_drawn_on_in_phase_and_counted() -> None:
    ear = Ear()
    packets = encoded(tone(30))
    for n, data in enumerate(packets):
        if n == 20:
            ear.wake(100 + 0.02 * n + 0.006)
            continue
        ear.clock.time = 100 + 0.02 * n
        ear.receiver.take(packet(n, data=data))
    ear.receiver.close()
    assert [(part.size, filled) for part, filled in ear.parts] == [(480, 480 * (n == 20)) for n in range(30)]
    assert ear.metrics.counters["concealed_ms"] == 20
    sound = np.concatenate([part for part, _ in ear.parts])[480:]
    assert np.abs(np.diff(sound)).max() < 1.1 * 0.5 * 2 * np.pi * 1_000 / 24_000  # no click
    in_place = sound[19 * 480 : 20 * 480]
    assert in_place.std() > 0.2
    spectrum = np.abs(np.fft.rfft(in_place * np.hanning(480)))
    assert np.argmax(spectrum) * 50 == 1_000


async def test_a_sender_who_stops_is_a_pause_told_once() -> None:
    ear = Ear()
    for n, data in enumerate(encoded(tone(5))):
        ear.clock.time = 100 + 0.02 * n
        ear.receiver.take(packet(n, data=data))
    ear.wake(101)
    ear.wake(102)
    assert ear.pauses == 1
    assert sum(filled for _, filled in ear.parts) == 10 * 480
    assert ear.receiver._timer is None


async def test_a_hole_is_concealed_by_the_receivers_own_timer() -> None:
    heard: list[int] = []
    done = asyncio.Event()

    def hear(samples: Samples, filled: int) -> None:
        heard.append(filled)
        if filled:
            done.set()

    receiver = AudioReceiver(hear, Metrics(), MonotonicClock())
    receiver.take(packet(0, data=encoded(tone(1))[0]))
    async with asyncio.timeout(5):
        await done.wait()
    receiver.close()
    assert heard[:2] == [0, 480]


async def test_after_a_stall_of_the_loop_packets_that_wait_are_read_before_anything_is_concealed() -> None:
    ear = Ear()
    packets = encoded(tone(3))
    ear.receiver.take(packet(0, data=packets[0]))
    ear.clock.time += 0.05
    ear.receiver._wake(100.025)  # the timer, 25 ms late
    assert len(ear.parts) == 1
    for n in (1, 2):
        ear.receiver.take(packet(n, data=packets[n]))
    ear.wake(100.075)  # the second is not due at once: the delay has grown by the stall
    assert [filled for _, filled in ear.parts] == [0, 0, 0]
    ear.receiver.close()


@pytest.mark.parametrize("junk", [b"\xff" * 40, b"\xfb\x00", bytes(range(256)) * 5])
async def test_a_packet_that_is_no_opus_is_concealed_and_the_sound_goes_on(junk: bytes) -> None:
    ear = Ear()
    packets = encoded(tone(4))
    for n in range(4):
        data = junk if n == 2 else packets[n]
        ear.clock.time = 100 + 0.02 * n
        ear.receiver.take(AudioPacket(n, n * TICKS, 7, TICKS, data))
    ear.receiver.close()
    assert len(ear.parts) == 4
    assert all(np.isfinite(part).all() for part, _ in ear.parts)
    assert np.abs(ear.parts[3][0]).max() > 0.1


async def test_after_closing_nothing_is_handed_on() -> None:
    ear = Ear()
    ear.receiver.close()
    ear.receiver.take(packet(0, data=encoded(tone(1))[0]))
    assert ear.parts == []


async def test_pictures_are_thinned_out_and_the_newest_is_kept() -> None:
    metrics = Metrics()
    frames = [av.VideoFrame(16, 16, "yuv420p") for _ in range(60)]
    for number, frame in enumerate(frames):
        frame.pts = number
    shown: list[int] = []
    track = ListTrack("video", frames, lambda: 0.002)
    clock = MonotonicClock()
    start = clock.now()
    await receive_video(track, lambda frame, ms: shown.append(frame.pts or 0), metrics, clock, max_fps=50)
    assert not track.left
    assert 2 <= len(shown) <= 2 + 50 * (clock.now() - start)
    assert len(shown) + metrics.counters["skipped_pictures"] in (59, 60)  # the last may still wait when the track ends
    assert shown == sorted(set(shown))


async def test_a_drained_track_is_empty() -> None:
    track = ListTrack("video", [av.VideoFrame(16, 16, "yuv420p")], lambda: 0)
    await drain(track)
    assert not track.left
