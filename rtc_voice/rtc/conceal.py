"""What is played while a chunk of speech is late: the last pitch period goes on, dying away.

As ITU-T G.711 Appendix I does for lost packets, but without its delay of 3.75 ms: what would be smoothed there by
changing sound that has not left yet is bent back here in the sound that is made up.
"""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_LONGEST_S, _SHORTEST_S = 0.015, 0.005  # pitch periods, or a few of them
_COMPARED_S = 0.02
FADE_S = 0.04  # in which a voice that goes on without its speaker dies away
BREAK_S = 0.003  # the same where it is meant to end
JOIN_S = 0.005  # cross-fade into sound that came back
_BEND_S = 0.002


class Concealment:
    """Makes pieces whole that are too short or missing, so that neither a hole nor a click is heard."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._heard = np.zeros(int((_LONGEST_S + _COMPARED_S) * sample_rate), np.float32)
        self._made_up: _Continuation | None = None

    def fill(self, samples: Samples | None, n_samples: int, *, goes_on: bool) -> Samples:
        """What is to be played, ``[n_samples]``.

        Args:
            samples: what there is of it, ``[<= n_samples]`` or None.
            n_samples: how many are needed.
            goes_on: whether the speaker has more to say: what is missing then takes long to die away.
        """
        have = 0 if samples is None else samples.size
        out = np.zeros(n_samples, np.float32)
        if samples is not None and have:
            out[:have] = samples
            if self._made_up is not None:
                join = min(have, int(JOIN_S * self._rate))
                out[:join] = cross_fade(self._made_up.next(join, FADE_S), out[:join])
                self._made_up = None
            self._heard = np.concatenate([self._heard, out[:have]])[-self._heard.size :]
        if have < n_samples:
            if self._made_up is None and self._heard[-1]:
                self._made_up = _Continuation(self._heard, self._rate)
                self._heard = np.zeros_like(self._heard)
            if self._made_up is not None:
                out[have:] = self._made_up.next(n_samples - have, FADE_S if goes_on else BREAK_S)
        return out


class _Continuation:
    """The last period of ``heard`` over and over."""

    def __init__(self, heard: Samples, sample_rate: int) -> None:
        self._rate = sample_rate
        period = _period(heard, sample_rate)
        cycle = heard[-period:].copy()
        join = period // 4
        cycle[-join:] = cross_fade(cycle[-join:], heard[-period - join : -period])
        self._cycle = cycle
        self._step = float(heard[-1] - heard[-period - 1])  # that the sound would make where it begins to repeat
        self._made = 0
        self._gain = 1.0

    def next(self, n_samples: int, fade_s: float) -> Samples:
        """The next ``n_samples``, on their way to silence in ``fade_s``."""
        number = self._made + np.arange(n_samples)
        bent = self._step * (1 - number / (_BEND_S * self._rate)).clip(min=0)
        gain = (self._gain - np.arange(n_samples) / (fade_s * self._rate)).clip(min=0)
        self._made += n_samples
        self._gain = max(self._gain - n_samples / (fade_s * self._rate), 0.0)
        made: Samples = ((self._cycle[number % self._cycle.size] + bent) * gain).astype(np.float32)
        return made


def _period(heard: Samples, sample_rate: int) -> int:
    """The lag in samples at which the end of ``heard`` is most like what went before it."""
    shortest, longest = int(_SHORTEST_S * sample_rate), int(_LONGEST_S * sample_rate)
    pieces = np.lib.stride_tricks.sliding_window_view(heard.astype(np.float64), int(_COMPARED_S * sample_rate))
    past = pieces[-1 - longest : -shortest][::-1]  # by growing lag
    alike = past @ pieces[-1] / np.sqrt((past**2).sum(axis=1) + 1e-9)
    return shortest + int(np.argmax(alike))


def cross_fade(old: Samples, new: Samples) -> Samples:
    """From ``old`` to ``new``, ``[T]`` each."""
    return old + np.linspace(0, 1, len(new), dtype=np.float32) * (new - old)
