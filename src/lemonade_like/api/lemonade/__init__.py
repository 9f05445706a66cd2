"""What Lemonade has beside OpenAI's API: health."""
