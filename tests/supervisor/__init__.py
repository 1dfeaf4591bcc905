"""Tests of the process-tree core; those that start real processes carry the mark `process`."""
