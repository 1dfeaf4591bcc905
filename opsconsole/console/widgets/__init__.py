"""Widgets that paint lines; they know rows only as lines with a key."""
