"""What joins data, transforms and models: one run, and what it leaves behind."""
