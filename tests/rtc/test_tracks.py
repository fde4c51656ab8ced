import av
import numpy as np
import pytest
from aiortc.mediastreams import MediaStreamError

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.playout import FIRST_RESERVE_S, ChunkQueue, Samples
from rtc_voice.rtc.tracks import SILENT_PACKET, OpusTrack, PictureTrack, SpeechTrack
from tests.rtc.conftest import JumpClock


class Bench:
    """A speech track on a clock that jumps."""

    def __init__(self, queue: ChunkQueue | None = None) -> None:
        self.clock = JumpClock()
        self.metrics = Metrics()
        self.queue = queue or ChunkQueue(24_000, 100, self.metrics, self.clock)
        self.track = SpeechTrack(self.queue, self.clock, self.metrics)

    async def step(self) -> tuple[int, float]:
        """A frame's pts and when it left, in s from the start of the clock."""
        pts = (await self.track.recv()).pts
        assert pts is not None
        return pts, round(self.clock.now() - 100, 6)


def sound(frame: av.AudioFrame) -> Samples:
    samples: Samples = frame.to_ndarray()[0] / np.float32(32_767)
    return samples


async def test_frames_come_every_20_ms_from_the_first_recv_on() -> None:
    bench = Bench()
    bench.clock.time += 5  # the track is older than the call
    assert [await bench.step() for _ in range(4)] == [(0, 5.0), (480, 5.02), (960, 5.04), (1440, 5.06)]


async def test_the_format_is_s16_mono_20_ms() -> None:
    bench = Bench()
    frame = await bench.track.recv()
    assert (frame.format.name, frame.layout.name, frame.samples, frame.sample_rate) == ("s16", "mono", 480, 24_000)
    assert frame.time_base is not None and float(frame.time_base) == 1 / 24_000


async def test_a_small_delay_is_made_up_for() -> None:
    bench = Bench()
    await bench.step()
    bench.clock.time += 0.035
    assert [await bench.step() for _ in range(3)] == [(480, 0.035), (960, 0.04), (1440, 0.06)]
    assert bench.metrics.counters["late_frames"] == 0


async def test_a_stall_is_counted_and_followed_by_no_burst() -> None:
    bench = Bench()
    await bench.step()
    bench.clock.time += 1.005
    frames = [await bench.step() for _ in range(4)]
    assert bench.metrics.counters["late_frames"] == 1
    assert [left for _, left in frames] == [1.005, 1.02, 1.04, 1.06]
    assert [pts for pts, _ in frames] == [24_000, 24_480, 24_960, 25_440]  # the media clock stays on its grid


async def test_a_stall_loses_no_sound() -> None:
    bench = Bench()
    whole = np.linspace(0, 0.9, 1_920, dtype=np.float32)
    bench.queue.push(whole)
    out = [sound(await bench.track.recv())]
    bench.clock.time += 1
    out += [sound(await bench.track.recv()) for _ in range(3)]
    np.testing.assert_allclose(np.concatenate(out), whole, atol=1 / 32_000)


async def test_spacing_errors_are_recorded_in_ms() -> None:
    bench = Bench()
    await bench.step()
    bench.clock.time += 0.025
    await bench.step()
    assert bench.metrics.times["frame_spacing_error_ms"].quantile(1) == pytest.approx(5.0)


async def test_an_empty_queue_is_late_only_while_speech_is_expected() -> None:
    bench = Bench()
    assert not sound(await bench.track.recv()).any()
    assert bench.metrics.counters["late_chunks"] == 0
    bench.queue.push(np.full(480, 0.5, np.float32))
    bench.queue.expecting = bench.queue.live = True
    assert sound(await bench.track.recv()).all()
    await bench.track.recv()
    bench.queue.push(np.full(100, 0.5, np.float32))
    await bench.track.recv()
    assert bench.metrics.counters["late_chunks"] == 2
    bench.queue.push(np.full(480, 0.5, np.float32))
    await bench.track.recv()
    assert bench.metrics.counters["late_chunks"] == 2


async def test_a_failing_source_gives_counted_silence(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()

    def fail(mark: str, time: float) -> None:
        raise RuntimeError("broken")

    bench.queue.on_mark = fail
    bench.queue.push(np.full(480, 0.5, np.float32), mark="one")
    assert not sound(await bench.track.recv()).any()
    assert bench.metrics.counters["failed_pulls"] == 1
    assert "broken" in caplog.text
    assert (await bench.step())[0] == 480


async def test_samples_beyond_the_range_and_no_numbers_are_clipped() -> None:
    bench = Bench()
    bench.queue.push(np.array([2, -2, np.nan, np.inf, 0.5] + [0] * 475, np.float32))
    first = (await bench.track.recv()).to_ndarray()[0, :5]
    np.testing.assert_array_equal(first, [32_767, -32_768, 0, 32_767, 16_383])


async def test_a_stopped_track_ends() -> None:
    bench = Bench()
    bench.track.stop()
    with pytest.raises(MediaStreamError):
        await bench.track.recv()


async def test_live_frames_move_close_to_the_chunks_they_play() -> None:
    bench = Bench()
    bench.queue = ChunkQueue(24_000, 100, bench.metrics, bench.clock)
    bench.queue.live = bench.queue.expecting = True
    bench.track = SpeechTrack(bench.queue, bench.clock, bench.metrics)
    bench.queue.push(np.zeros(480, np.float32))
    bench.clock.time += 0.013
    waits = []
    for number in range(40):
        await bench.step()
        waits.append(bench.clock.time - (100 + 0.02 * number))
        bench.clock.time = 100 + 0.02 * (number + 1)
        bench.queue.push(np.zeros(480, np.float32))
    assert waits[0] == pytest.approx(0.013)
    assert waits[-1] == pytest.approx(FIRST_RESERVE_S)
    assert bench.metrics.counters["late_chunks"] == 0


async def test_each_frame_becomes_one_opus_packet_with_its_time_and_sound() -> None:
    bench = Bench()
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 24_000).astype(np.float32)
    bench.queue.push(tone)
    track = OpusTrack(bench.track)
    packets = [await track.recv() for _ in range(50)]
    assert [packet.pts for packet in packets] == list(range(0, 48_000, 960))
    decoder = av.AudioCodecContext.create("libopus", "r")
    decoder.sample_rate = 48_000
    heard = np.concatenate([frame.to_ndarray().reshape(-1, 2)[:, 0] for p in packets for frame in decoder.decode(p)])
    spectrum = np.abs(np.fft.rfft(heard[9_600:38_400] * np.hanning(28_800)))
    assert np.argmax(spectrum) * 48_000 / 28_800 == pytest.approx(440, abs=2)
    assert heard[9_600:38_400].std() / 32_768 == pytest.approx(0.5 / np.sqrt(2), rel=0.03)


async def test_a_frame_that_cannot_be_encoded_is_silence_and_the_next_is_heard(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.queue.push(np.sin(np.arange(24_000) / 10).astype(np.float32))
    track = OpusTrack(bench.track)
    await track.recv()

    class Broken:
        def encode(self, samples: Samples) -> bytes:
            raise ValueError("broken")

    track._encoder = Broken()  # type: ignore[assignment]
    assert bytes(await track.recv()) == SILENT_PACKET
    assert len(bytes(await track.recv())) > 20
    assert bench.metrics.counters["failed_frames"] == 1
    assert "broken" in caplog.text


async def test_pictures_come_at_their_rate_and_the_last_one_stays() -> None:
    clock, metrics = JumpClock(), Metrics()
    shown = iter([np.full((48, 64, 3), shade, np.uint8) for shade in (50, 200)])
    track = PictureTrack(shown, 15, clock, metrics)
    frames = [await track.recv() for _ in range(4)]
    assert [frame.pts for frame in frames] == [0, 6_000, 12_000, 18_000]
    assert [int(frame.to_ndarray().mean()) for frame in frames] == [50, 200, 200, 200]
    assert clock.now() == pytest.approx(100 + 3 / 15)
