"""What can be served: names, files on disk, what a GGUF file says of itself, and downloads."""
