"""Tests of the demo: its scripted model, its tools, its agents, and the whole as real processes."""
