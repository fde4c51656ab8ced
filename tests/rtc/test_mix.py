import numpy as np

from rtc_voice.rtc.mix import Mix
from rtc_voice.rtc.playout import ChunkQueue


def queue(*values: float) -> ChunkQueue:
    one = ChunkQueue(24_000, 10)
    one.push(np.array(values, np.float32))
    return one


def pulled(mix: Mix, size: int) -> list[float]:
    samples = mix.pull(size, 0.0)
    assert samples is not None
    return [round(float(sample), 3) for sample in samples]


def test_voices_add_up_whatever_their_length() -> None:
    mix = Mix(24_000)
    mix.add(queue(0.1, 0.2, 0.3))
    mix.add(queue(0.5))
    assert pulled(mix, 3) == [0.6, 0.2, 0.3]
    assert mix.pull(3, 0.0) is None


def test_loud_voices_stay_within_full_scale() -> None:
    mix = Mix(24_000)
    for _ in range(3):
        mix.add(queue(0.9, -0.9))
    assert pulled(mix, 2) == [1.0, -1.0]


def test_who_leaves_is_heard_no_more_and_who_joins_twice_only_once() -> None:
    mix, one, other = Mix(24_000), queue(0.1), queue(0.2)
    for voice in (one, one, other):
        mix.add(voice)
    mix.remove(other)
    mix.remove(other)
    assert pulled(mix, 1) == [0.1]


def test_it_expects_speech_while_anybody_speaks() -> None:
    mix, one = Mix(24_000), queue()
    mix.add(one)
    mix.add(queue())
    assert not mix.expecting
    one.expecting = True
    assert mix.expecting
