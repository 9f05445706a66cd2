"""One assistant turn: from a request, over an engine, to events."""
