"""Studies of many small networks: rates, memory, kills at random moments, a thousand sleeping workers."""
