"""Texts to vectors, and pairs of texts to scores: requests that an engine answers as a whole, many to a batch."""
