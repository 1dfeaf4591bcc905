"""One module per view of the console; each shows, none decides."""
