"""How a call is set up: one module per way of exchanging offers and answers."""
