"""The wire `opsconsole.v1`: frames, events, rows and a sans-IO Connection; it opens no socket and reads no clock."""
