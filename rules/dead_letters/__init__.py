"""Dead letters: why a message became one, how people address it, how a replay ends."""
