"""The console as a process in a terminal of tmux, on a hub and agents that are processes too."""
