"""HTTP/1.1 as the gateway speaks it to both sides, upon llhttp's parser; it knows no run and no model."""
