"""Content and adapter: chunks are the whole, rows are late by what is stated, level and voice do what they should."""

import pytest
import torch

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import BANDS, HEARD_BANDS, level
from rtc_voice.synthesis.content import LOOKAHEAD_ROWS, ContentEncoder, Conversion
from tests.synthesis.voices import voice


@pytest.fixture
def conversion() -> Conversion:
    torch.manual_seed(1)
    return Conversion().double().eval()


def features(batch: int = 1, rows: int = 40) -> Features:
    generator = torch.Generator().manual_seed(2)
    f0 = 120 + 60 * torch.rand(batch, rows, generator=generator, dtype=torch.float64)
    f0[:, 10:15] = 0
    return Features(
        -4 + torch.randn(batch, rows, BANDS, generator=generator, dtype=torch.float64),
        f0,
        torch.rand(batch, rows, 6, generator=generator, dtype=torch.float64),
    )


def cut(heard: Features, start: int, stop: int) -> Features:
    return Features(heard.envelope[:, start:stop], heard.f0[:, start:stop], heard.aperiodicity[:, start:stop])


@pytest.mark.parametrize("size", [1, 2, 7])
def test_chunks_match_whole_signal(conversion: Conversion, size: int) -> None:
    heard = features(2)
    with torch.no_grad():
        whole = conversion.step(heard, conversion.init_state(2))
        state = conversion.init_state(2)
        parts = [conversion.step(cut(heard, i, i + size), state) for i in range(0, 40, size)]
    envelope = torch.cat([part.envelope for part in parts], dim=1)
    torch.testing.assert_close(envelope, whole.envelope, rtol=0, atol=1e-10)
    torch.testing.assert_close(torch.cat([part.f0 for part in parts], dim=1), whole.f0, rtol=0, atol=0)


def test_f0_comes_out_as_late_as_the_words(conversion: Conversion) -> None:
    heard = features()
    with torch.no_grad():
        made = conversion.step(heard, conversion.init_state(1))
    torch.testing.assert_close(made.f0[:, LOOKAHEAD_ROWS:], heard.f0[:, :-LOOKAHEAD_ROWS], rtol=0, atol=0)
    assert not bool(made.f0[:, :LOOKAHEAD_ROWS].any())


def test_content_does_not_depend_on_gain_once_speech_has_been_heard() -> None:
    torch.manual_seed(1)
    encoder, heard = ContentEncoder().double(), features()
    loud = Features(heard.envelope + 1.0, heard.f0, heard.aperiodicity)
    with torch.no_grad():
        soft_state, loud_state = encoder.init_state(1), encoder.init_state(1)
        soft_state["level"].fill_(level(heard.envelope[..., :HEARD_BANDS]).max())
        loud_state["level"].fill_(level(loud.envelope[..., :HEARD_BANDS]).max())
        one, other = encoder.step(heard, soft_state), encoder.step(loud, loud_state)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


def test_what_is_above_wide_band_is_not_heard() -> None:
    torch.manual_seed(1)
    encoder, heard = ContentEncoder().double(), features()
    filtered = Features(heard.envelope.clone(), heard.f0, heard.aperiodicity)
    filtered.envelope[..., HEARD_BANDS:] = -11
    with torch.no_grad():
        one = encoder.step(heard, encoder.init_state(1))
        other = encoder.step(filtered, encoder.init_state(1))
    assert torch.equal(one, other)


def test_each_row_has_its_own_voice(conversion: Conversion) -> None:
    heard = features()
    twice = Features(*(t.repeat(2, *[1] * (t.dim() - 1)) for t in (heard.envelope, heard.f0, heard.aperiodicity)))
    with torch.no_grad():
        state = conversion.init_state(2)
        films = [conversion.voice_state(voice(seed=seed))["film"] for seed in (1, 2)]
        state["adapter"]["film"].copy_(torch.cat(films))
        made = conversion.step(twice, state)
    assert float((made.envelope[0] - made.envelope[1]).abs().max()) > 1e-3


def test_a_voice_between_two_chunks_can_be_trained_through(conversion: Conversion) -> None:
    heard = features()
    made = conversion.step(heard, conversion.init_state(1))
    made.envelope.sum().backward()  # type: ignore[no-untyped-call]
    weight = conversion.encoder.enter.weight
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) > 0
