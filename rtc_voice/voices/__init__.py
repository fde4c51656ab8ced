"""Voices: face embeddings (or a recording) come in, a ``Voice`` goes out and is remembered.

May import ``faces`` (its types), ``speech`` and the ground floor.
"""
