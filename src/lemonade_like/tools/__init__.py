"""Tools that the server itself can run: those of MCP servers that the configuration names, and nothing else."""
