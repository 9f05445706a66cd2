"""What the machine has, which engines it can run, and how a released one is fetched and put in its place."""
