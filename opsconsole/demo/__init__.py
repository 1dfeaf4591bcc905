"""What `opsconsole demo` starts: six agents as real processes, a scripted model, and a small shop to work in."""
