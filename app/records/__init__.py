"""What the service remembers: images, jobs, keys, sessions, and what administrators did."""
