"""Benchmarks of the whole: each prints its measurement beside a stated limit; timings live here and in no test."""
