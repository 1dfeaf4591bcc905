"""The hub's rules, pure: an input and a time in, a list of effects out; no socket, disk, clock or dice."""
