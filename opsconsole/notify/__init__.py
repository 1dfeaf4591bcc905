"""Tells people elsewhere what needs them: which entries of the audit become messages, and how those are sent."""
