"""A failure as a standalone script: its torch calls are recorded, pruned, and written down."""
