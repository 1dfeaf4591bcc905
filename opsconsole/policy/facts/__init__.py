"""What the hub works out of a call's arguments, so that a rule need not trust what an agent says of them."""
