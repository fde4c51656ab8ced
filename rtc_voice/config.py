"""Sizes that several rooms must agree on."""

from dataclasses import dataclass

from rtc_voice.errors import InputError


@dataclass(frozen=True, slots=True)
class AudioConfig:
    """The rates of the synthesis chain; everything downstream of a peer's decoder runs at ``sample_rate``."""

    sample_rate: int = 24_000  # Hz
    hop: int = 240  # samples between two rows of features (10 ms)
    chunk_ms: int = 20  # what the engine makes in one step; also the length of an outgoing frame

    def __post_init__(self) -> None:
        if self.chunk_ms not in (10, 20):
            raise InputError(f"chunk_ms is {self.chunk_ms}", "allowed: 10 or 20")
        if self.chunk_samples % self.hop:
            raise InputError(
                f"a chunk of {self.chunk_samples} samples is no multiple of the hop {self.hop}", "choose one"
            )

    @property
    def chunk_samples(self) -> int:
        """Samples in one chunk."""
        return self.sample_rate * self.chunk_ms // 1000


AUDIO = AudioConfig()
