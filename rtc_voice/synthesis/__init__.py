"""Synthesis: features and a voice come in, speech in that voice goes out, chunk by chunk.

May import the ground floor only. Every part keeps the streaming contract: weights inside, state outside, ``step``
moves the state in place, ``forward`` is one long ``step``.
"""
