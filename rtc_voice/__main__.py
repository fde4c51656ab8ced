"""``python -m rtc_voice`` is ``rtc-voice``."""

from rtc_voice.cli import main

main()
