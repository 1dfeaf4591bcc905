"""The policy file: TOML in, one immutable policy or every problem at once out; it opens no file itself."""
