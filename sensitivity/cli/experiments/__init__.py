"""Commands that run studies and train networks."""
