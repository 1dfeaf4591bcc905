"""Dialects of model APIs, pure: how each writes requests, answers, tool calls, usage and errors; no input or output."""
