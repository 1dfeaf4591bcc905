"""What is true about runs, calls, approvals and commands: values and transition tables, without I/O or clock."""
