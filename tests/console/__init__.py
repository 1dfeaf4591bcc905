"""Tests of the console: its pure view first, then keys pressed, then pictures of screens."""
