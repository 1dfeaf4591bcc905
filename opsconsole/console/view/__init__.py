"""What the screen says, without a screen: rows, order, words and lines; no terminal, no clock, no network."""
