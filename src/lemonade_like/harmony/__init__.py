"""Harmony, the format of GPT-OSS: conversations to token ids, and token ids back to channels.

Pure functions and small state machines. Nothing here reads a file, opens a socket or knows an engine.
"""
