"""Anthropic's Messages API, over the same turns and events as every other."""
