"""The hub: a pure desk that decides, and the shells that carry its effects out over sockets and storage."""
