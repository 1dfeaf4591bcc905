"""The LLM gateway: the enforcement point for any agent whose model's base URL can be set; it decides nothing itself."""
