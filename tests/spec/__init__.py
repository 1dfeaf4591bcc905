"""What a person can see the system do, one behaviour a test, on real processes and real sockets."""
