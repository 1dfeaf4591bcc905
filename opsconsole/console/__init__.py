"""The console: shows what the hub knows and sends what an operator decides; it judges nothing and stores nothing."""

import os

os.environ.setdefault("TEXTUAL_FPS", "1000")
"""Read once when textual is imported. At its default of 60 a key pressed just after a load frame waits up to 33 ms."""
