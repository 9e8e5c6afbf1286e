"""The engine for one machine: worker processes, one pipe each, watched."""
