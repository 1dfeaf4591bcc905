"""The console: shows what the hub knows and sends what an operator decides; it judges nothing and stores nothing."""
