"""Echo bots made with other frameworks, each a program that prints its address: what the transport is compared with."""
