import numpy as np
import pytest

from rtc_voice.rtc.opus import BadPacketError, OpusDecoder, OpusEncoder, packet_ticks
from rtc_voice.rtc.playout import Samples
from tests.rtc.packets import encoded


def tone(frames: int, hz: float = 440) -> Samples:
    return (0.5 * np.sin(2 * np.pi * hz * np.arange(480 * frames) / 24_000)).astype(np.float32)


def level(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples**2)))


def test_the_sound_comes_back_at_24_khz_within_the_codecs_delay() -> None:
    sent = (0.5 * np.sin(2 * np.pi * (200 * (t := np.arange(480 * 50) / 24_000) + 300 * t**2))).astype(np.float32)
    decoder = OpusDecoder()
    heard = np.concatenate([decoder.decode(data) for data in encoded(sent)])
    assert heard.shape == sent.shape
    lag = int(np.argmax(np.correlate(heard[4_800:10_000], sent[4_800:9_600], "valid")))
    assert lag / 24_000 <= 0.005
    np.testing.assert_allclose(heard[4_800 + lag : 20_000 + lag], sent[4_800:20_000], atol=0.05)


def test_lost_packets_fade_out_and_the_sound_recovers() -> None:
    packets = encoded(tone(50))
    decoder = OpusDecoder()
    before = [decoder.decode(data) for data in packets[:20]][-1]
    lost = [decoder.conceal(960) for _ in range(10)]
    after = [decoder.decode(data) for data in packets[30:]][-1]
    assert [part.size for part in lost] == [480] * 10
    assert level(lost[0]) > 0.5 * level(before)
    assert level(lost[9]) < 0.25 * level(before)
    assert level(after) == pytest.approx(level(before), rel=0.1)


def test_the_copy_in_the_next_packet_is_nearer_to_the_truth_than_drawing_on(rng: np.random.Generator) -> None:
    sweep = (0.5 * np.sin(2 * np.pi * (200 * (t := np.arange(480 * 40) / 24_000) + 600 * t**2))).astype(np.float32)
    packets = encoded(sweep, application="voip", fec="1", packet_loss="30")
    errors = []
    for following in (packets[31], None):
        whole, lossy = OpusDecoder(), OpusDecoder()
        for data in packets[:30]:
            whole.decode(data), lossy.decode(data)
        true = whole.decode(packets[30])
        errors.append(level(lossy.conceal(960, following) - true) / level(true))
    assert errors[0] < 0.5 * errors[1]


def test_a_packet_says_how_long_it_is() -> None:
    assert packet_ticks(encoded(tone(1))[0]) == 960
    assert packet_ticks(b"\xf0\xff\xfe") == 480


@pytest.mark.parametrize("junk", [b"\xff", b"", b"\x03\xff\xff"])
def test_bytes_that_are_no_packet_are_refused(junk: bytes) -> None:
    with pytest.raises(BadPacketError):
        packet_ticks(junk)


def test_a_length_that_cannot_be_concealed_is_silence() -> None:
    decoder = OpusDecoder()
    decoder.decode(encoded(tone(1))[0])
    assert not decoder.conceal(14).any()
    assert decoder.conceal(14).size == 7


def test_no_numbers_and_too_loud_samples_are_encoded() -> None:
    encoder, decoder = OpusEncoder(), OpusDecoder()
    frame = tone(1)
    frame[::7], frame[1::7], frame[2::7] = np.nan, np.inf, 40
    assert np.abs(decoder.decode(encoder.encode(frame))).max() < 2


def test_a_frame_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="481"):
        OpusEncoder().encode(np.zeros(481, np.float32))
