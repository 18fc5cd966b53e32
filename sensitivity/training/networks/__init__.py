"""Networks that can be trained: a recurrence with a read-out, and the stage of a batch of sequences."""
