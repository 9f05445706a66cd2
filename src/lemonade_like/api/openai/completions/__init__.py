"""Raw completions, as OpenAI had them before chats."""
