"""`python -m benchmarks.shares`: pregen over a share, against its link and the processors."""
