"""The wire formats, one folder a family; thin: they read requests into turns and write events."""
