"""What a network remembers, and what its gradient is made of: windows, parameters, inputs, directions."""
