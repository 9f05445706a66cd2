"""What ``scripts/bench.py`` is made of: the servers, the load, the measuring and the report."""
