"""Typed speech is known ahead: it is heard in long pieces, at a fifth of what it costs chunk by chunk."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.functional import pad

from rtc_voice.synthesis.chain import Heard, VoiceChain
from rtc_voice.synthesis.mapping import Speaker

_FIRST_CHUNKS, _MORE_CHUNKS = 8, 32  # of a piece: what is to be said soon is heard soon


def count_chunks(samples: int, chain: VoiceChain) -> int:
    """How many chunks a sentence of so many samples gives."""
    return -(-samples // chain.config.chunk_samples) or 1


@torch.inference_mode()
def hear_sentence(samples: Tensor, speaker: Speaker, chain: VoiceChain) -> Iterator[Heard]:
    """A sentence as what ``chain`` shall say, a chunk each, ``count_chunks`` of them.

    In torch, whatever stands in for it: an exported step is for small chunks. A second of speech takes a core 20 ms.

    Args:
        samples: 24 kHz, ``[T]``.
        speaker: whose speech it is.
        chain: its weights and chunk size count; it may be speaking meanwhile.
    """
    size, rows = chain.config.chunk_samples, chain.config.chunk_samples // chain.config.hop
    left, late = count_chunks(len(samples), chain), chain.lookahead
    padded = pad(samples, (0, left * size + late - len(samples))).to(chain.device)
    with padded.device:
        state = chain.init_state(1)
    chain.set_speaker(speaker, state, 0)

    chain.hear_sound(padded[None, :late], state)  # what comes out now was before the sentence
    at, more = late, _FIRST_CHUNKS
    while at < len(padded):
        heard = [part.cpu() for part in chain.hear_sound(padded[None, at : at + more * size], state).tensors()]
        yield from map(Heard, *(torch.split(part, rows, dim=1) for part in heard))
        at, more = at + more * size, _MORE_CHUNKS
