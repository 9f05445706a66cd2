"""What ``tiny-gpt-oss`` is made of: the conversations that it knows, how they are varied, trained and written as GGUF."""
