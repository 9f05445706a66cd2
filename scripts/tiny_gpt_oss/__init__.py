"""What ``tiny-gpt-oss`` is made of: the conversations that it knows, their variation, the training, the export."""
