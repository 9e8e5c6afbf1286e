"""The program and its parts as tests run them: processes, clusters, what this machine can test."""
