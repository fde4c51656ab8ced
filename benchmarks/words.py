"""Words that were said against words that were heard."""

from functools import cache

import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Words wrong, missing or added, and words said.

    Neither spelling, nor the way numbers are written, nor whether a compound is one word or two counts.
    """
    one, other = words(said), words(heard)
    costs = np.zeros((len(one) + 1, len(other) + 1), dtype=int)
    costs[0], costs[:, 0] = np.arange(len(other) + 1), np.arange(len(one) + 1)
    for i, j in np.ndindex(len(one), len(other)):
        ways = [costs[i, j + 1] + 1, costs[i + 1, j] + 1, costs[i, j] + (one[i] != other[j])]
        if i and one[i - 1] + one[i] == other[j]:
            ways.append(costs[i - 1, j])
        if j and other[j - 1] + other[j] == one[i]:
            ways.append(costs[i, j - 1])
        costs[i + 1, j + 1] = min(ways)
    return int(costs[-1, -1]), len(one)


def words(text: str) -> list[str]:
    """The words as Whisper's own evaluation compares them: American spelling, numbers in digits, no contractions.

    Source:
        Radford et al. 2022, appendix C, https://arxiv.org/abs/2212.04356.
    """
    normal: str = _normalizer()(text.replace("-", " "))
    return normal.split()


@cache
def _normalizer() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()
