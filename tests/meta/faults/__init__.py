"""Link 4 of the chain of trust: faults put into torch, each of which the suite must find."""
