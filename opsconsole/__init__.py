"""opsconsole: watch live agent runs, hold risky calls, kill with proof, take over, and keep the record."""

__version__ = "0.1.0"
