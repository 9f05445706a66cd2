"""What is seen of the server from outside: logs, and what they know of the request at hand."""
