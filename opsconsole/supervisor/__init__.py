"""Starts, freezes, kills and proves the process tree of one run; it decides nothing about the run and knows no hub."""
