import asyncio
from collections.abc import Callable, Sequence
from fractions import Fraction

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.playout import Samples
from rtc_voice.rtc.receive import AudioReader, drain, receive_audio, receive_video
from rtc_voice.timing import MonotonicClock

AnyFrame = av.AudioFrame | av.VideoFrame


def audio_frame(samples: Samples, pts: int) -> av.AudioFrame:
    stereo = np.repeat((samples * 32_767).astype(np.int16), 2)[None]
    frame = av.AudioFrame.from_ndarray(stereo, format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48_000, pts, Fraction(1, 48_000)
    return frame


def tone_frames(count: int) -> list[av.AudioFrame]:
    tone = 0.5 * np.sin(2 * np.pi * 1_033 * np.arange(960 * count) / 48_000).astype(np.float32)
    return [audio_frame(tone[960 * i : 960 * (i + 1)], 960 * i) for i in range(count)]


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


def test_a_lost_frame_keeps_the_time_line_and_is_counted() -> None:
    metrics = Metrics()
    reader = AudioReader(metrics)
    frames = tone_frames(6)
    del frames[3]
    out = [reader.read(frame) for frame in frames]
    assert [(samples.size, filled) for samples, filled in out] == [(480, 0)] * 3 + [(960, 480), (480, 0)]
    assert metrics.counters == {"gaps": 1, "concealed_samples": 480}
    tail = out[-1][0][100:]  # in phase with the tone as if nothing had been lost
    at = np.arange(5 * 480 + 100, 6 * 480) / 24_000 - 47 / 48_000
    np.testing.assert_allclose(tail, 0.5 * np.sin(2 * np.pi * 1_033 * at), atol=0.002)


def test_concealment_fades_without_a_step() -> None:
    reader = AudioReader(Metrics())
    frames = tone_frames(6)
    before, _ = reader.read(frames[0])
    gap, filled = reader.read(frames[4])
    steepest = 0.5 * 2 * np.pi * 1_033 / 24_000
    assert np.abs(np.diff(np.concatenate([before, gap[:filled]]))).max() < 1.05 * steepest
    assert not gap[530:filled].any()
    assert gap[30:100].std() > 0.1


def test_a_long_pause_is_filled_only_in_part() -> None:
    reader = AudioReader(Metrics())
    reader.read(audio_frame(np.ones(960, np.float32), 0))
    samples, filled = reader.read(audio_frame(np.ones(960, np.float32), 48_000 * 60))
    assert filled == 4_800
    assert samples.size == 4_800 + 480


def test_a_pts_that_goes_back_fills_nothing() -> None:
    reader = AudioReader(Metrics())
    reader.read(audio_frame(np.ones(960, np.float32), 9_600))
    assert reader.read(audio_frame(np.ones(960, np.float32), 0))[1] == 0
    assert reader.read(audio_frame(np.ones(960, np.float32), 960))[1] == 0


async def test_audio_is_handed_on_until_the_track_ends() -> None:
    heard: list[int] = []
    track = ListTrack("audio", tone_frames(5), lambda: 0)
    await receive_audio(track, lambda samples, filled: heard.append(samples.size), Metrics())
    assert heard == [480] * 5


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
