"""A voice of ours in the frameworks of others, each an extra of its own: ``rtc-voice[pipecat]`` and ``[livekit]``.

Text or sound in their frames comes in, sound in their frames goes out. Each module imports its framework and ``api``.
"""
