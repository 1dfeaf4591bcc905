"""Tests of the SDK: a fake hub on a real WebSocket, real agent processes, and a property test of the gate."""
