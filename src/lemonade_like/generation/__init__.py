"""Asks a running server, and gives back the answer, the reasoning and the commentary apart."""
