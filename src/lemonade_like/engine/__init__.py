"""One llama-server: find it, launch it, watch it, talk to it."""
