"""What decides whether a call runs, waits for a person or is refused; pure, so that history can be judged again."""
