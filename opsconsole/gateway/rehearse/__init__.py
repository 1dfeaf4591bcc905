"""Recorded traffic replayed at several times its rate in simulated time: what breaks first; it asks no provider."""
