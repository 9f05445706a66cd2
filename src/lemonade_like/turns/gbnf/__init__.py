"""JSON Schema as GBNF, the grammar language of llama.cpp.

Why this is not a library's: llama-server's own converter cannot be asked without taking a slot, answers in another
grammar language (llguidance) when it was built with it, as the bundled engine is, and passes silently over what it
cannot enforce; no package on PyPI does it in plain Python.
"""
