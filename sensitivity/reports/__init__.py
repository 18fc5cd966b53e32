"""One report on one network: what its gradient does, in numbers, in a picture and in a sentence."""
