"""Jina's wire format, which Cohere, llama-server and Lemonade have, too."""
