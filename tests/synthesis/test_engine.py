"""The engine: what it speaks is what the chain says, sentences go in turn, cancel is at once, places are limited."""

import copy
import threading
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rtc_voice.errors import CapacityError, InputError
from rtc_voice.synthesis.chain import Heard, VoiceChain
from rtc_voice.synthesis.engine import SILENT_CHUNKS, Engine, VoiceStream
from rtc_voice.synthesis.mapping import TEXT_VOICE
from tests.speech.signals import vowel
from tests.synthesis.voices import small_chain, voice

Samples = NDArray[np.float32]
CHUNK = 480


class Listener:
    """A sink with all the room one wants; ``until`` waits for a mark or a number of samples."""

    def __init__(self, room: int = 1000) -> None:
        self.expecting = self.live = False
        self.chunks: list[Samples] = []
        self.marks: list[str] = []
        self._room = room
        self._changed = threading.Condition()

    def push(self, samples: Samples, mark: str | None = None) -> bool:
        with self._changed:
            self.chunks.append(samples.copy())
            self.marks += [mark] if mark else []
            self._changed.notify_all()
        return True

    def room(self) -> int:
        return self._room - len(self.chunks)

    def make_room(self, room: int) -> None:
        self._room = room

    def clear(self) -> None:
        self.chunks.clear()

    def until(self, *, mark: str | None = None, samples: int = 0) -> None:
        with self._changed:
            assert self._changed.wait_for(
                lambda: (mark is None or mark in self.marks) and self.heard().size >= samples, timeout=30
            )

    def heard(self) -> Samples:
        return np.concatenate([np.zeros(0, np.float32), *self.chunks])


@pytest.fixture(scope="module")
def chain() -> VoiceChain:
    return small_chain()


def sentence(f0_hz: float = 180.0, seconds: float = 0.5) -> Samples:
    return vowel(f0_hz, seconds)[0].numpy().astype(np.float32)


@torch.no_grad()
def by_chain(chain: VoiceChain, source: Samples, f0_hz: float) -> Samples:
    state = chain.init_state(1)
    chain.set_voice(voice(f0_hz), state, 0)
    chain.set_speaker(TEXT_VOICE, state, 0)
    padded = np.pad(source, (0, -len(source) % CHUNK + chain.lookahead))
    heard = chain.hear_sound(torch.from_numpy(padded)[None], state)
    rows = chain.lookahead // chain.config.hop  # what was before the sentence
    out: Samples = chain.say(Heard(*(part[:, rows:] for part in heard.tensors())), state)[0].clamp(-1, 1).numpy()
    return out


def test_a_typed_sentence_comes_out_whole_and_without_the_lookahead(chain: VoiceChain) -> None:
    with Engine(chain, slots=2) as engine:
        listener = Listener()
        stream = engine.open(voice(120), listener)
        stream.speak(sentence(), "a")
        stream.finish("a")
        listener.until(mark="end:a")
    assert listener.marks == ["begin:a", "end:a"]
    np.testing.assert_allclose(listener.heard(), by_chain(chain, sentence(), 120), atol=1e-5)


def test_live_speech_comes_out_for_any_length_that_comes_in(chain: VoiceChain) -> None:
    source = sentence(seconds=1.0)
    with Engine(chain, slots=2) as engine:
        listener = Listener()
        stream = engine.open(voice(120), listener)
        for start, stop in ((0, 100), (100, 480), (480, 1500)):
            stream.hear(source[start:stop])
        listener.until(samples=3 * CHUNK)
    state = chain.init_state(1)
    chain.set_voice(voice(120), state, 0)
    with torch.no_grad():
        expected = [chain.step(torch.from_numpy(source[i : i + CHUNK])[None], state)[0] for i in (0, 480, 960)]
    np.testing.assert_allclose(listener.heard(), torch.cat(expected).numpy(), atol=1e-5)


def test_voices_in_one_batch_do_not_touch_each_other(chain: VoiceChain) -> None:
    with Engine(chain, slots=3) as engine:
        listeners = [Listener() for _ in range(3)]
        streams = [engine.open(voice(100 + 50 * i), li) for i, li in enumerate(listeners)]
        for i, stream in enumerate(streams):
            stream.speak(sentence(150 + 30 * i, 0.3 + 0.1 * i), "x")
            stream.finish("x")
        for listener in listeners:
            listener.until(mark="end:x")
    for i, listener in enumerate(listeners):
        np.testing.assert_allclose(
            listener.heard(), by_chain(chain, sentence(150 + 30 * i, 0.3 + 0.1 * i), 100 + 50 * i), atol=1e-5
        )


def test_what_only_a_gpu_can_do_is_refused_without_one(chain: VoiceChain) -> None:
    with pytest.raises(InputError, match="GPU"):
        Engine(chain, fuse=True)


def test_a_place_that_was_left_starts_fresh(chain: VoiceChain) -> None:
    with Engine(chain, slots=1) as engine:
        for f0_hz in (100.0, 200.0):
            listener = Listener()
            stream = engine.open(voice(f0_hz), listener)
            stream.speak(sentence(), "x")
            stream.finish("x")
            listener.until(mark="end:x")
            stream.close()
            np.testing.assert_allclose(listener.heard(), by_chain(chain, sentence(), f0_hz), atol=1e-5)


def test_cancel_stops_one_text_and_lets_the_next_be_heard(chain: VoiceChain) -> None:
    with Engine(chain, slots=1) as engine:
        listener = Listener(room=5)  # it takes 5 chunks, then the first text is held up
        stream = engine.open(voice(), listener)
        stream.speak(sentence(seconds=5.0), "long")
        stream.speak(sentence(seconds=0.05), "next")
        stream.finish("next")
        listener.until(samples=4 * CHUNK)
        stream.cancel("long")
        listener.until(mark="end:next")
    assert "end:long" not in listener.marks
    assert listener.marks[-2:] == ["begin:next", "end:next"]


def test_cancel_of_everything_leaves_silence(chain: VoiceChain) -> None:
    with Engine(chain, slots=1) as engine:
        listener = Listener(room=3)
        stream = engine.open(voice(), listener)
        stream.speak(sentence(seconds=5.0), "a")
        listener.until(samples=2 * CHUNK)
        assert listener.expecting
        stream.cancel()
        assert not listener.expecting
        assert not stream.is_speaking


def test_a_sentence_may_have_a_voice_of_its_own(chain: VoiceChain) -> None:
    with Engine(chain, slots=1) as engine:
        listener = Listener()
        stream = engine.open(voice(100), listener)
        stream.speak(sentence(), "a", voice(250))
        stream.finish("a")
        listener.until(mark="end:a")
    np.testing.assert_allclose(listener.heard(), by_chain(chain, sentence(), 250), atol=1e-5)


def test_live_speech_is_dropped_while_a_text_is_said_and_bounded_always(chain: VoiceChain) -> None:
    with Engine(chain, slots=1) as engine:
        listener = Listener(room=0)
        stream = engine.open(voice(), listener)
        stream.hear(np.ones(20 * CHUNK, np.float32))
        assert stream.metrics.counters["dropped_live_chunks"] == 10
        stream.speak(sentence(), "a")
        stream.hear(np.ones(CHUNK, np.float32))
        stream.cancel()
        assert not stream.waits()


def feed(stream: VoiceStream, listener: Listener, source: Samples) -> None:
    """Speak live, no faster than it is made."""
    heard = listener.heard().size
    for start in range(0, source.size, CHUNK):
        stream.hear(source[start : start + CHUNK])
        listener.until(samples=heard + start + CHUNK)


def test_a_muted_microphone_costs_no_ticks_and_speech_goes_on_without_a_click(chain: VoiceChain) -> None:
    before, after = np.split(sentence(seconds=1.0)[: 48 * CHUNK], 2)
    mute = np.zeros(100 * CHUNK, np.float32)
    with Engine(chain, slots=1) as engine:
        listener = Listener()
        stream = engine.open(voice(120), listener)
        for part in (before, mute, after):
            feed(stream, listener, part)
        ticks = engine.metrics.counters["ticks"]
    assert ticks == 48 + SILENT_CHUNKS
    heard = listener.heard()
    paused, resumed = 24 + SILENT_CHUNKS, 124  # chunks
    assert not heard[paused * CHUNK : resumed * CHUNK].any()
    state = chain.init_state(1)
    chain.set_voice(voice(120), state, 0)
    short = np.concatenate([before, mute[: SILENT_CHUNKS * CHUNK], after])
    with torch.no_grad():
        expected = torch.cat(
            [chain.step(c, state)[0] for c in torch.split(torch.from_numpy(short)[None], CHUNK, 1)]
        ).numpy()
    np.testing.assert_allclose(heard[: paused * CHUNK], expected[: paused * CHUNK], atol=1e-5)
    np.testing.assert_allclose(heard[resumed * CHUNK :], expected[paused * CHUNK :], atol=1e-5)
    assert np.abs(expected[paused * CHUNK - CHUNK : paused * CHUNK + 48]).max() < 1e-3  # both sides of each edge


def test_speech_that_had_to_pause_goes_on_as_if_it_had_not(chain: VoiceChain) -> None:
    with Engine(chain, slots=2) as engine:
        held_up, beside = Listener(room=3), Listener()
        stream, other = engine.open(voice(120), held_up), engine.open(voice(200), beside)
        stream.speak(sentence(), "a")
        stream.finish("a")
        for room, more_room in pairwise((3, 5, 9, 1_000)):
            held_up.until(samples=(room - 1) * CHUNK)
            feed(other, beside, sentence(220, 0.1))
            held_up.make_room(more_room)
        held_up.until(mark="end:a")
    np.testing.assert_allclose(held_up.heard(), by_chain(chain, sentence(), 120), atol=1e-5)


def test_typed_speech_with_a_reserve_waits_for_live_speech_but_not_for_ever(chain: VoiceChain) -> None:
    engine = Engine(chain, slots=2)  # not running: what a tick would do is asked
    typed, live = engine.open(voice(), Listener(room=5)), engine.open(voice(), Listener())
    typed.speak(sentence(), "a")
    live.hear(sentence())
    assert [typed.goes_first() for _ in range(5)] == [False, False, False, True, False]
    assert all(live.goes_first() for _ in range(5))
    hungry = Engine(chain, slots=1).open(voice(), Listener(room=8))
    hungry.speak(sentence(), "a")
    assert hungry.goes_first()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu_typed_and_live_speech_are_what_they_are_on_a_cpu(chain: VoiceChain) -> None:
    said: dict[str, list[Samples]] = {}
    for device in ("cpu", "cuda"):
        with Engine(copy.deepcopy(chain).to(device), slots=2) as engine:
            typed, live = Listener(), Listener()
            typist, speaker = engine.open(voice(120), typed), engine.open(voice(200), live)
            typist.speak(sentence(), "a")
            typist.finish("a")
            feed(speaker, live, sentence(220, 0.5))
            typed.until(mark="end:a")
            said[device] = [typed.heard(), live.heard()]
    for ours, theirs in zip(said["cuda"], said["cpu"], strict=True):
        assert theirs.std() > 0.005
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_all_places_taken_is_an_error(chain: VoiceChain) -> None:
    with Engine(chain, slots=1) as engine:
        stream = engine.open(voice(), Listener())
        with pytest.raises(CapacityError):
            engine.open(voice(), Listener())
        stream.close()
        stream.close()
        engine.open(voice(), Listener())


def test_leaving_the_engine_ends_its_thread(chain: VoiceChain) -> None:
    with Engine(chain, slots=1):
        assert any(t.name == "synthesis" for t in threading.enumerate())
    assert not any(t.name == "synthesis" for t in threading.enumerate())
