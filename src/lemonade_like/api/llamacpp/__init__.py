"""What llama-server has beside OpenAI's API, in its own forms."""
