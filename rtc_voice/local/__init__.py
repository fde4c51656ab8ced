"""A call without a network: this machine's camera, microphone and speakers, or files in their place."""
