"""The demo's agents, one module and one process each: what each is told and which tools it has."""
