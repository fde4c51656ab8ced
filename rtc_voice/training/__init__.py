"""How the shipped weights were made: data recipes and one command per network. Not needed to run the bot."""
