"""The call: offers and packets come in, participants' audio, newest pictures and messages go to the bot, and back.

The only room that knows aiortc.
"""
