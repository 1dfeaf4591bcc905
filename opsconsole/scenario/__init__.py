"""Incidents as regression tests: a run pinned as a case, replayed under a policy or played to the team's real agent."""
