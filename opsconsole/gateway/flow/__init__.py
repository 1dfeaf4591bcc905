"""How much may flow to a provider, pure: rates, fair shares, retries, breakers and gauges; no input or output."""
