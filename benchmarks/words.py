"""Words that were said against words that were heard."""

from functools import cache

from whisper_normalizer.english import EnglishTextNormalizer


def word_errors(said: str, heard: str) -> tuple[int, int]:
    """Words wrong, missing or added, and words said; neither spelling nor the way numbers are written counts."""
    one, other = words(said), words(heard)
    costs = list(range(len(other) + 1))
    for i, word in enumerate(one, 1):
        diagonal, costs[0] = costs[0], i
        for j, guess in enumerate(other, 1):
            diagonal, costs[j] = costs[j], min(costs[j] + 1, costs[j - 1] + 1, diagonal + (word != guess))
    return costs[-1], len(one)


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
