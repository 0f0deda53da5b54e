"""Dead letters: why a message became one, how people name it, what becomes of a replay."""
