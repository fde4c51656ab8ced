"""The whole chain: chunks are the whole, rows are alone, and the voice is heard in F0, formants and brightness."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from rtc_voice.config import AudioConfig
from rtc_voice.faces.types import FaceEmbedding
from rtc_voice.speech.analysis import SpeechAnalysis
from rtc_voice.speech.text import TextToSpeech
from rtc_voice.synthesis.chain import VoiceChain, load_chain
from rtc_voice.synthesis.mapping import Speaker, warp_envelope
from rtc_voice.voices.attributes import AttributePredictor
from rtc_voice.voices.types import Voice
from tests.speech.signals import noise, vowel
from tests.synthesis.voices import small_chain, voice


def speech() -> Tensor:
    hz = 150 * 2 ** (0.2 * torch.sin(torch.linspace(0, 12, 24_000, dtype=torch.float64)))
    return torch.cat([vowel(hz, 1.0), noise(0.2, amplitude=0.03), vowel(hz.flip(0), 1.0)], dim=1)


def spoken(chain: VoiceChain, source: Tensor, voices: list[Voice], chunk: int) -> Tensor:
    with torch.no_grad():
        state = chain.init_state(len(voices))
        for row, one in enumerate(voices):
            chain.set_voice(one, state, row)
        return torch.cat([chain.step(c, state) for c in torch.split(source, chunk, dim=1)], dim=1)


@pytest.mark.parametrize("chunk", [240, 480, 4800])
def test_chunks_match_whole_signal_in_float64(chunk: int) -> None:
    chain = small_chain().double()
    source = speech()
    whole = spoken(chain, source, [voice()], source.shape[1])
    assert float(whole.std()) > 0.01
    # 1e-9: the analysis has transforms and running sums whose vectorised order of addition differs by chunk.
    torch.testing.assert_close(spoken(chain, source, [voice()], chunk), whole, rtol=0, atol=1e-9)


def test_chunks_match_whole_signal_in_float32() -> None:
    chain, source = small_chain(), speech().float()
    whole = spoken(chain, source, [voice()], source.shape[1])
    torch.testing.assert_close(spoken(chain, source, [voice()], 480), whole, rtol=0, atol=1e-5)


def test_batch_row_is_as_alone() -> None:
    chain, source = small_chain().double(), speech()
    sources = torch.cat([source.flip(1), source, source * 0.3])
    voices = [voice(200, seed=1), voice(110, seed=2), voice(300, 0.9, seed=3)]
    together = spoken(chain, sources, voices, 480)
    with torch.no_grad():
        state = chain.init_state(1)
        third = chain.excitation.init_state(3)["noise"][2:]
        state["source"]["excitation"]["noise"].copy_(third)  # the rows' noise differs
        chain.set_voice(voices[2], state, 0)
        alone = torch.cat([chain.step(c, state) for c in torch.split(source * 0.3, 480, dim=1)], dim=1)
    torch.testing.assert_close(together[2:], alone, rtol=0, atol=1e-9)


@pytest.mark.parametrize("f0_hz", [90.0, 150.0, 260.0])
def test_f0_is_the_voices(f0_hz: float) -> None:
    hz = 180 * 2 ** (0.05 * torch.sin(torch.linspace(0, 60, 72_000, dtype=torch.float64)))
    chain = load_chain()
    with torch.no_grad():
        state = chain.init_state(1)
        chain.set_voice(voice(f0_hz), state, 0)
        chain.set_speaker(Speaker(180.0, 0.4, rows_heard=1000.0), state, 0)
        out = torch.cat([chain.step(c, state) for c in torch.split(vowel(hz, 3.0).float(), 480, dim=1)], dim=1)
    f0 = SpeechAnalysis()(out).f0
    mean = torch.log(f0[f0 > 0])[100:].mean().exp()
    assert float(12 * torch.log2(mean / f0_hz)) == pytest.approx(0, abs=0.4)


def test_a_longer_tract_lowers_the_formants() -> None:
    source = torch.from_numpy(next(TextToSpeech().sentences("We were away a year ago."))[None])
    source = source[:, : source.shape[1] // 480 * 480]
    short, long = (
        SpeechAnalysis()(spoken(load_chain(), source, [voice_of(tract)], 480)).envelope[:, 20:] for tract in (0.9, 1.1)
    )
    ratios = np.arange(0.9, 1.5, 0.02)
    likeness = [float((warp_envelope(short, torch.tensor(r)) - long).abs().mean()) for r in ratios]
    assert ratios[int(np.argmin(likeness))] == pytest.approx(1.1 / 0.9, abs=0.1)


def voice_of(tract: float) -> Voice:
    return replace(AttributePredictor().predict(FaceEmbedding(np.zeros(128, np.float32), 0.0, 30.0)), tract=tract)


def test_brightness_tilts_the_spectrum() -> None:
    dull, bright = (spoken(load_chain(), speech().float(), [voice(150, tilt_db=db)], 480) for db in (-6, 6))
    assert centroid(bright) > 1.2 * centroid(dull)


def test_output_lags_by_the_lookahead_and_no_more() -> None:
    chain = load_chain()
    source = torch.zeros(1, 24_000)
    source[:, 12_000:] = noise(0.5)[:, :12_000].float()
    out = spoken(chain, source, [voice()], 480)[0]
    loud = torch.nonzero(out.abs() > 0.02).flatten()
    # The analysis window sees the onset half a window before its middle.
    assert 12_000 - 300 <= int(loud[0]) - chain.lookahead <= 12_000 + 240
    assert chain.latency_ms == 60.0
    assert chain.text_latency_ms == 20.0
    assert VoiceChain(AudioConfig(chunk_ms=10)).latency_ms == 50.0


def test_a_new_voice_sets_in_without_a_click() -> None:
    chain, source = load_chain(), speech().float()[:, :24_000]
    with torch.no_grad():
        state = chain.init_state(1)
        parts = []
        for number, chunk in enumerate(torch.split(source, 480, dim=1)):
            if number == 25:
                chain.set_voice(voice(170, 0.9), state, 0)
            parts.append(chain.step(chunk, state))
    out = torch.cat(parts, dim=1)[0]
    jump = (out[1:] - out[:-1]).abs()
    assert float(jump[25 * 480 - 48 : 25 * 480 + 48].max()) <= float(jump[10 * 480 :].quantile(0.999))


def centroid(out: Tensor) -> float:
    power = torch.stft(out, 1024, window=torch.hann_window(1024), return_complex=True).abs().square().mean(dim=(0, 2))
    hz = torch.linspace(0, 12_000, 513)
    return float((power.sqrt() * hz).sum() / power.sqrt().sum())
