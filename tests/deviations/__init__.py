"""What torch gets wrong, one standalone script each, and the ledger that lists them."""
