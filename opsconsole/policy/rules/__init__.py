"""Rules as values: tool patterns, CEL expressions, office hours, the strictest of what matched; it reads no file."""
