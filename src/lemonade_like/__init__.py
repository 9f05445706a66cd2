"""An OpenAI-compatible inference server that wraps llama.cpp and speaks Harmony, the format of GPT-OSS, itself."""
