"""A voice of ours in the frameworks of others, each an extra: ``rtc-voice[pipecat]``, ``[livekit]``, ``[fastrtc]``.

Text or sound in their frames comes in, sound in their frames goes out. Each module imports its framework and ``api``.
"""
